"""Stages pool, retrieve and latency: what a query may find, runs by systems, references and others, and their times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import pipeline, runs
from uae_bench.errors import NotPossible
from uae_bench.experiment.bench import ASKED, FACTS, LATENCY, RUN, UTILITIES, Bench
from uae_bench.experiment.host import host
from uae_bench.experiment.imported import Imported
from uae_bench.experiment.steps import BYTES_PER_TOKEN, Estimate, Step
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.pipeline import Pools, Retrieved
from uae_bench.records import Query
from uae_bench.references import Gains, ReferenceSystem, reordered
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import Chain, Product, System, asks, build_chain, fusion_rule
from uae_bench.retrieval.chain import Step as ChainStep
from uae_bench.retrieval.component import Ability, Resources, Settings
from uae_bench.store import Artifact, Json, canonical_json, digest_of
from uae_bench.systems import PRODUCTS
from uae_bench.task.files import file_digest
from uae_bench.task.pool import hard_pools, small_pools
from uae_bench.timing import Indexed
from uae_bench.utility import utilities

TIMED_QUERIES = 100
"""So many queries are timed, the first of the split: with fewer the 99th percentile is the slowest one."""
TIMED_SECONDS = 60.0
"""Timing of a system that takes longer ends with fewer queries."""


Configs = Mapping[str, Settings]
"""The options of each component, by name."""


class HardPool(BaseModel):
    """What `--set hard.…` may set, of `--pool hard`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(default=50, ge=2, description="passages in each query's pool")
    reward_model: str = Field(default="BAAI/bge-reranker-base", description="a cross-encoder's name or folder")


def pool_step(bench: Bench, kind: str, sources: Mapping[str, Step] | None = None, size: int = 0) -> Step:
    """Stage pool: `document`, `corpus`, or `hard` from the runs `base` and `reward`, `size` passages each."""

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        pools: dict[str, tuple[str, ...]] | None = None if kind == "corpus" else {}
        for split in bench.splits:
            if kind == "hard":
                base, reward = (runs.read_run(inputs[role].folder / RUN) for role in ("base", "reward"))
                found: Pools = hard_pools([query.id for query in bench.of(split)], base, reward, size)
            else:
                found = pipeline.pool(bench.task, split, kind)
            if pools is not None and found is not None:
                pools.update({query.id: found[query.id] for query in bench.of(split)})
        (folder / "pools.json").write_text(json.dumps(pools, ensure_ascii=False), encoding="utf-8")
        if kind == "hard":
            small = {f"pools_of_fewer_than_{size}_passages": small_pools(pools or {}, size)}
            (folder / FACTS).write_text(canonical_json(small))
        return {}

    config: dict[str, Json] = {"kind": kind, "size": size, **bench.scope}
    return Step("pool", f"{kind} pool of {bench.label}", config, bench.facts, produce, sources or {})


def read_pools(artifact: Artifact) -> Pools:
    """What `pool_step` wrote."""
    pools = json.loads((artifact.folder / "pools.json").read_text(encoding="utf-8"))
    return None if pools is None else {query: tuple(passages) for query, passages in pools.items()}


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a system takes: the step that finds passages, the one that times it, and its chain, built on what both need
    with the resources that are given."""

    run: Step
    latency: Step
    chain: Callable[[Mapping[str, Artifact], Resources], Chain]


def retrieval_steps(
    bench: Bench,
    system: System,
    pools: Step,
    depth: int,
    configs: Mapping[str, Settings],
    trained: Mapping[str, Step],
    members: Sequence[Step] = (),
) -> Retrieval:
    """Stages retrieve and latency of a system; `trained` holds the training step of each name that has to be trained,
    `members` what finds the runs that its first stage fuses, each as deep as `member_depth` says.

    Both use one index where they run one after the other. Times hold for the machine that took them: it is in the key.

    Raises:
        UsageError: a fusion's settings do not fit its members.
    """
    facts = dict(bench.facts)
    options: dict[str, Json] = {}
    scorers: list[LmSpec] = []
    for place, step in enumerate(system.steps):
        component = RETRIEVERS[PRODUCTS[step.name] if step.name in trained else step.name]
        config = configs[step.name]
        options[f"{place} {step.name}"] = {**config.model_dump(mode="json"), "version": component.version}
        if step.members:
            fusion_rule(step, configs)
        elif step.name not in trained:
            facts[f"{place} {step}"] = digest_of(dict(component.identity(step.argument, config)))
        if asks(step):
            spec = parse_lm(step.argument)
            _require_able(spec, step, asks(step))
            facts[f"{place} asked"] = digest_of(dict(bench.identity(spec)))
            scorers += [spec] if "scores" in asks(step) else []
    work = " ".join(fact for role, fact in facts.items() if role.endswith(" asked"))

    needs = {"pools": pools, **{f"trained {name}": step for name, step in trained.items()}}
    needs |= {f"member {place}": step for place, step in enumerate(members)}
    told: dict[str, Json] = {"system": system.name, "depth": depth, "options": options, **bench.scope}

    def chain(inputs: Mapping[str, Artifact], resources: Resources) -> Chain:
        made = {name: Product(PRODUCTS[name], inputs[f"trained {name}"].folder) for name in trained}
        return build_chain(system, configs, resources, made)

    def indexed(inputs: Mapping[str, Artifact]) -> Indexed:
        def make() -> Indexed:
            return pipeline.index(chain(inputs, bench.running()), bench.view(read_pools(inputs["pools"])))

        return bench.indexed.get(digest_of([told, facts, {role: one.digest for role, one in inputs.items()}]), make)

    def find(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        for spec in scorers:
            bench.require_sound(spec)
        fused = [_retrieved(inputs[f"member {place}"]) for place in range(len(members))]
        if members:  # each member's run is an artifact, its own row's where it has one
            view = bench.view(read_pools(inputs["pools"]))
            found = pipeline.fuse(chain(inputs, bench.running()), view, fused, depth=depth)
        else:
            found = pipeline.retrieve(indexed(inputs), depth=depth)
        runs.write_run(found.run, folder / RUN)
        (folder / FACTS).write_text(canonical_json(dict(found.facts)))
        if work or found.asked:
            runs.write_asked(found.asked, folder / ASKED)
        own = found.asked[sum(len(each.asked) for each in fused) :]
        shuffled = sum(value for name, value in found.facts.items() if name.endswith("_order_tokens"))
        tokens = sum(one.prompt_tokens + one.completion_tokens for one in own) + int(shuffled)
        return {"tokens": tokens, "work": work} if work else {}

    def time(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        (timed,) = pipeline.time_queries([indexed(inputs)], depth=depth, sample=TIMED_QUERIES, seconds=TIMED_SECONDS)
        (folder / LATENCY).write_text(canonical_json(dict(timed.seconds)))
        return {}

    timed = bench.queries[:TIMED_QUERIES] + bench.queries[:1]  # the first one warms up
    members_options = {step.name: configs[step.name].model_dump(mode="json") for step in system.every_step()}
    where: dict[str, Json] = {
        "host": dict(host(bench.resources.device)),
        "sample": TIMED_QUERIES,
        "seconds": TIMED_SECONDS,
    }
    return Retrieval(
        Step(
            "retrieve",
            f"retrieve {system.name} on {bench.label}",
            told,
            facts,
            find,
            needs,
            estimate=(lambda: _asking_cost(bench, system.steps, bench.queries, pools, depth, configs))
            if work
            else None,
            work=work,
        ),
        Step(
            "latency",
            f"time {system.name} on {bench.label}",
            {**told, **where, "members": members_options},
            facts,
            time,
            needs,
            estimate=(lambda: _asking_cost(bench, system.every_step(), timed, pools, depth, configs))
            if any(map(asks, system.every_step()))
            else None,
        ),
        chain,
    )


def member_depth(system: System, configs: Mapping[str, Settings], depth: int) -> int:
    """How many passages each member of a fusion keeps, where the system keeps `depth`."""
    return fusion_rule(system.steps[0], configs).member_depth(depth)


def _retrieved(artifact: Artifact) -> Retrieved:
    facts = json.loads((artifact.folder / FACTS).read_text(encoding="utf-8"))
    asked = runs.read_asked(artifact.folder / ASKED) if (artifact.folder / ASKED).is_file() else ()
    return Retrieved(runs.read_run(artifact.folder / RUN), facts, tuple(asked))


def _require_able(spec: LmSpec, step: ChainStep, abilities: Sequence[Ability]) -> None:
    """Nothing where a model can do what a step wants of it.

    Raises:
        NotPossible: likelihoods are wanted, and the model, a server's, tells none.
    """
    if "scores" in abilities and not spec.scores:
        raise NotPossible(
            f"{step.name} ranks by likelihoods, and {spec.text} returns no log-probabilities of a prompt's tokens",
            hint=f"name one that does ({step.name}:hf:…, {step.name}:vllm:…), or take rankgpt, which reads text",
        )


def _asking_cost(
    bench: Bench, steps: Iterable[ChainStep], queries: Sequence[Query], pools: Step, depth: int, configs: Configs
) -> Estimate:
    """Calls of the steps that ask, and the passages that they show, as long as passages are on average."""
    asking = [step for step in steps if asks(step)]
    calls, tokens = 0, 0.0
    for query in queries:
        document = bench.task.documents.get(query.document_id or "", ())
        count = min(depth, len(document) if document and pools.config["kind"] == "document" else depth)
        for step in asking:
            cost = RETRIEVERS[step.name].cost
            if cost is not None:
                asked, shown, written = cost(configs[step.name], count)
                calls += asked
                tokens += (shown * bench.passage_length + asked * len(query.text)) / BYTES_PER_TOKEN + written
    return Estimate(calls, round(tokens))


@dataclass(frozen=True, slots=True)
class Ground:
    """What a reference ranks by, where that is an artifact: utilities or samples. `read` gives the gain per query and
    passage; `config` is what it depends on.
    """

    role: str
    step: Step
    config: Mapping[str, Json]
    read: Callable[[Artifact], Gains]


def read_utilities(artifact: Artifact, definition: str) -> Gains:
    """Utility per query and passage, from labels."""
    return utilities(runs.read_utilities(artifact.folder / UTILITIES), definition)


def reference_step(
    bench: Bench, system: ReferenceSystem, pools: Step, depth: int, ground: Ground | None, first: Step | None
) -> Step:
    """Stage retrieve for a reference row: pools, or the run of what comes first, ordered by evidence or by `ground`."""

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        gains = ground.read(inputs[ground.role]) if ground else {}
        if first:
            run = reordered(system.name, runs.read_run(inputs["first"].folder / RUN), gains, depth)
        else:
            run = system.reference.rank(bench.view(read_pools(inputs["pools"])), bench.task.qrels, gains, depth)
        runs.write_run(run, folder / RUN)
        return {}

    config: dict[str, Json] = {"reference": system.name, "depth": depth, **bench.scope}
    needs = {"first": first} if first else {"pools": pools}
    if ground:
        config |= ground.config
        needs[ground.role] = ground.step
    return Step("retrieve", f"order {bench.label} by {system.name}", config, bench.facts, produce, needs)


def import_step(bench: Bench, imported: Imported, pools: Step, depth: int) -> Step:
    """Stage retrieve for a row made elsewhere: its files enter the key by content.

    Raises:
        BadInput: one of the files cannot be read.
    """

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        run = imported.read(bench.view(read_pools(inputs["pools"])), bench.task, depth)
        runs.write_run(run, folder / RUN)
        return {}

    files = {role: file_digest(path) for role, path in imported.files.items()}
    config: dict[str, Json] = {"imported": imported.name, "depth": depth, **bench.scope}
    label = f"import {imported.name} for {bench.label}"
    return Step("retrieve", label, config, {**bench.facts, **files}, produce, {"pools": pools})
