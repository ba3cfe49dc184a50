"""One function per stage: what enters its key, what it reads from other artifacts, and what it writes.

The work itself is `pipeline`'s. A step's `config` holds what a user may choose, its `facts` what was found out
(digests of task and weights); paths, devices and progress are in neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import pipeline, runs
from uae_bench.encoder_source import encoder_identity
from uae_bench.experiment.imported import Imported
from uae_bench.experiment.models import Models, usable_device
from uae_bench.experiment.steps import Estimate, Step
from uae_bench.experiment.summary import summary
from uae_bench.lm.base import Sampling
from uae_bench.lm.spec import LmSpec
from uae_bench.metrics import Judged, Measure, latency_by_stage, throughput
from uae_bench.pipeline import Pools
from uae_bench.records import GenerationRecord, Query, RetrievalView, Value
from uae_bench.references import REFERENCES
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import Chain, System
from uae_bench.retrieval.component import Resources, Settings
from uae_bench.retrieval.dense import DENSE
from uae_bench.significance import clusters_of
from uae_bench.store import Artifact, CallCache, Json, canonical_json, digest_of, file_digest
from uae_bench.systems.trainer import Trainer
from uae_bench.task.pool import hard_pools, small_pools
from uae_bench.task.task import Task
from uae_bench.utility import utilities

RUN, UTILITIES, GENERATIONS, VALUES = "run.parquet", "utilities.parquet", "generations.jsonl", "values.parquet"
SUMMARY, COMPARISONS, FACTS, COUNTS = "summary.json", "comparisons.json", "facts.json", "counts.json"

JUDGED_NEEDS = frozenset({"utilities", "generations", "closed_book", "gold"})
"""What only a language model can give; measures without such a need are the same under every model."""

BYTES_PER_TOKEN = 4
"""A rule of thumb for English, used in estimates only."""

LABELLED_DEPTH = 10
"""How much of a run is labelled where the pool is the whole corpus; no utility measure of a card looks further."""


class HardPool(BaseModel):
    """What `--set hard.…` may set: size of the pool and the reward model (a cross-encoder's name or folder)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(default=50, ge=2)
    reward_model: str = "BAAI/bge-reranker-base"


class Precision(BaseModel):
    """What `--set lm.…` may set: `dtype`, float32 or bfloat16, of the language models' weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Literal["float32", "bfloat16"] = "float32"


class Training(BaseModel):
    """What `--set training.…` may set: `permute_utilities` is the control, in which they are dealt anew per query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    permute_utilities: bool = False


@dataclass(frozen=True, eq=False)
class Bench:
    """Some splits of one task as the stages see them: the first `limit` queries of each, all where it is None."""

    task: Task
    splits: tuple[str, ...]
    limit: int | None
    resources: Resources
    models: Models
    calls: CallCache

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The queries in scope, split by split."""
        return tuple(query for split in self.splits for query in self.of(split))

    def of(self, split: str) -> tuple[Query, ...]:
        """The queries of one split in scope."""
        return tuple(self.task.queries[query] for query in self.task.split(split).queries[: self.limit])

    @property
    def scope(self) -> dict[str, Json]:
        """What of the task is looked at, for keys."""
        return {"splits": list(self.splits), "limit": self.limit}

    @property
    def facts(self) -> dict[str, str]:
        """The task by content."""
        return {"task": self.task.digest}

    @cached_property
    def documents(self) -> dict[str, str]:
        """The document of each query in scope: the unit that tests flip and intervals resample."""
        return clusters_of(self.queries)

    @property
    def label(self) -> str:
        return f"{self.task.name}/{'+'.join(self.splits)}"

    def running(self) -> Resources:
        """The resources with their device settled; imports torch, so only a stage that misses asks."""
        return replace(self.resources, device=usable_device(self.resources.device))

    def view(self, pools: Pools) -> RetrievalView:
        """What a retriever may see."""
        return RetrievalView(tuple(self.task.passages.values()), self.queries, pools)


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


def retrieve_step(
    bench: Bench,
    system: System,
    pools: Step,
    depth: int,
    configs: Mapping[str, Settings],
    trained: Mapping[str, Step],
) -> Step:
    """Stage retrieve: a chain of components; `trained` holds the training step of each name that has to be trained."""
    facts = dict(bench.facts)
    options: dict[str, Json] = {}
    for place, step in enumerate(system.steps):
        component = DENSE if step.name in trained else RETRIEVERS[step.name]
        config = configs[step.name]
        options[f"{place} {step.name}"] = {**config.model_dump(), "version": component.version}
        if step.name not in trained:
            facts[f"{place} {step}"] = digest_of(dict(component.identity(step.argument, config)))

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        folders = {name: inputs[f"trained {name}"].folder for name in trained}
        chain = _chain(system, configs, folders, bench.running())
        view = bench.view(read_pools(inputs["pools"]))
        found = pipeline.retrieve(chain, view, depth=depth)
        runs.write_run(found.run, folder / RUN)
        (folder / FACTS).write_text(canonical_json(dict(found.facts)))
        seconds = pipeline.time_queries(chain, view, depth=depth)
        return {
            "latency": {stage: asdict(figures) for stage, figures in latency_by_stage(seconds).items()},
            "queries_per_second": throughput(len(seconds["encode"]), sum(map(sum, seconds.values()))),
        }

    needs = {"pools": pools, **{f"trained {name}": step for name, step in trained.items()}}
    config_json: dict[str, Json] = {"system": system.name, "depth": depth, "options": options, **bench.scope}
    return Step("retrieve", f"retrieve {system.name} on {bench.label}", config_json, facts, produce, needs)


def _chain(system: System, configs: Mapping[str, Settings], folders: Mapping[str, Path], resources: Resources) -> Chain:
    built = []
    for step in system.steps:
        component = DENSE if step.name in folders else RETRIEVERS[step.name]
        argument = str(folders[step.name]) if step.name in folders else step.argument
        built.append(component.build(argument, configs[step.name], resources))
    return Chain(system.name, built[0], tuple(built[1:]))


def reference_step(bench: Bench, name: str, pools: Step, depth: int, labels: Step | None, definition: str) -> Step:
    """Stage retrieve for a reference row: an ordering by evidence, or by the scorer's utilities (`labels`)."""
    reference = REFERENCES[name]

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        gains = utilities(runs.read_utilities(inputs["labels"].folder / UTILITIES), definition) if labels else {}
        run = reference.rank(bench.view(read_pools(inputs["pools"])), bench.task.qrels, gains, depth)
        runs.write_run(run, folder / RUN)
        return {}

    config: dict[str, Json] = {"reference": name, "depth": depth, **bench.scope}
    if labels:
        config["definition"] = definition
    needs = {"pools": pools, **({"labels": labels} if labels else {})}
    return Step("retrieve", f"order {bench.label} by {name}", config, bench.facts, produce, needs)


def import_step(bench: Bench, imported: Imported, pools: Step, depth: int) -> Step:
    """Stage retrieve for a row made elsewhere: its files enter the key by content."""

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        run = imported.read(bench.view(read_pools(inputs["pools"])), bench.task, depth)
        runs.write_run(run, folder / RUN)
        return {}

    files = {role: file_digest(path) for role, path in imported.files.items()}
    config: dict[str, Json] = {"imported": imported.name, "depth": depth, **bench.scope}
    label = f"import {imported.name} for {bench.label}"
    return Step("retrieve", label, config, {**bench.facts, **files}, produce, {"pools": pools})


def label_step(bench: Bench, spec: LmSpec, sources: Mapping[str, Step], without: Mapping[str, Step]) -> Step:
    """Stage utility: likelihoods of the answers with each passage of `sources` (pools or runs) and with none.

    Of a run the first `LABELLED_DEPTH` passages count, and the marked evidence is always labelled. What the labels
    in `without` hold already is left out.
    """
    identity = spec.identity(bench.models.dtype)

    def candidates(inputs: Mapping[str, Artifact]) -> dict[str, list[str]]:
        labelled = [row for role in without for row in runs.read_utilities(inputs[role].folder / UTILITIES)]
        known = {(row.query, row.passage) for row in labelled}
        found = {query.id: dict.fromkeys(sorted(bench.task.evidence(query.id))) for query in bench.queries}
        for role in sources:
            for query, passages in _passages_of(inputs[role]).items():
                found[query].update(dict.fromkeys(passages))
        return {query: [p for p in sorted(row) if (query, p) not in known] for query, row in found.items()}

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        labelled = pipeline.label(
            bench.models.get(spec),
            bench.task,
            candidates(inputs),
            template=spec.prompt,
            model=identity,
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        runs.write_utilities(labelled.rows, folder / UTILITIES)
        (folder / COUNTS).write_text(canonical_json(asdict(labelled.counts)))
        return {"tokens": labelled.counts.tokens, "work": digest_of(dict(identity))}

    return Step(
        "utility",
        f"label {bench.label} with {spec.text}",
        {"depth": LABELLED_DEPTH, **bench.scope},
        {**bench.facts, "lm": digest_of(dict(identity)), "prompt": spec.prompt.digest},
        produce,
        {**sources, **without},
        estimate=lambda: _labelling_cost(bench, sources),
        work=digest_of(dict(identity)),
    )


def _labelling_cost(bench: Bench, sources: Mapping[str, Step]) -> Estimate:
    """Every candidate of every query with every answer, shared prefixes not yet taken off."""
    whole = any(step.stage == "pool" for step in sources.values())
    passages = bench.task.passages
    mean_bytes = sum(len(passage.text) for passage in passages.values()) / len(passages)
    calls, tokens = 0, 0.0
    for query in bench.queries:
        document = bench.task.documents.get(query.document_id or "", ())
        count = len(document) if whole and document else LABELLED_DEPTH
        answers = bench.task.answerable(query.id)
        calls += (count + 1) * len(answers)
        tokens += sum(count * (mean_bytes + len(query.text) + len(answer.text)) for answer in answers)
    return Estimate(calls, round(tokens / BYTES_PER_TOKEN))


def _passages_of(artifact: Artifact) -> Mapping[str, Sequence[str]]:
    """The passages per query of a pool, or the first of a run."""
    if artifact.key.stage == "pool":
        return read_pools(artifact) or {}
    run = runs.read_run(artifact.folder / RUN)
    return {query: ranking.passages[:LABELLED_DEPTH] for query, ranking in run.rankings.items()}


def train_step(
    bench: Bench,
    trainer: Trainer,
    options: BaseModel,
    encoder: str,
    seed: int,
    definition: str,
    candidates: Step,
    labels: Step | None,
    training: Training,
    scorer: str,
) -> Step:
    """Stage train: a model directory from the training splits' candidates and utilities; dev chooses the checkpoint.

    Task, licence and `scorer` stand in the model's card.
    """
    splits = bench.task.splits
    provenance = {"task": bench.task.name, "license": bench.task.card.license, "scorer": scorer}
    train = [query.id for split in bench.splits if splits[split].use == "train" for query in bench.of(split)]
    dev = [query.id for split in bench.splits if splits[split].use == "dev" for query in bench.of(split)]

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        gains = utilities(runs.read_utilities(inputs["labels"].folder / UTILITIES), definition) if labels else {}
        if training.permute_utilities:
            gains = pipeline.permuted(gains, seed)
        run = runs.read_run(inputs["candidates"].folder / RUN)
        data = pipeline.training_set(bench.task, train, dev, run, gains, definition=definition, provenance=provenance)
        pipeline.train(trainer, data, options, encoder, seed, folder, bench.running())
        return {}

    return Step(
        "train",
        f"train {trainer.name} (seed {seed}) on {bench.label}",
        {
            "trainer": trainer.name,
            "version": trainer.version,
            "options": options.model_dump(mode="json"),
            "seed": seed,
            "definition": definition,
            "training": training.model_dump(),
            "provenance": provenance,
            **bench.scope,
        },
        {**bench.facts, "encoder": digest_of(dict(encoder_identity(encoder))), **trainer.identity(options)},
        produce,
        {"candidates": candidates, **({"labels": labels} if labels else {})},
    )


def generate_step(bench: Bench, spec: LmSpec, context: Step | str, size: int, sampling: Sampling) -> Step:
    """Stage generate: an answer per query from the first `size` passages of a run, from none (`closed-book`), or
    from the marked evidence (`gold`).
    """
    identity = spec.identity(bench.models.dtype)
    run = context if isinstance(context, Step) else None
    shown = 0 if context == "closed-book" else size

    def contexts(inputs: Mapping[str, Artifact]) -> dict[str, Sequence[str]]:
        if run is not None:
            rankings = runs.read_run(inputs["run"].folder / RUN).rankings
            return {query.id: rankings[query.id].passages[:shown] for query in bench.queries}
        return {query.id: sorted(bench.task.evidence(query.id))[:shown] for query in bench.queries}

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        written = pipeline.generate(
            bench.models.get(spec),
            bench.task,
            contexts(inputs),
            template=spec.prompt,
            sampling=sampling,
            model=identity,
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        runs.write_generations(written, folder / GENERATIONS)
        tokens = sum(record.prompt_tokens + record.completion_tokens for record in written)
        return {"tokens": tokens, "work": digest_of(dict(identity))}

    kind = "retrieved" if run else str(context)
    needs = {"run": run} if run else {}
    return Step(
        "generate",
        f"answer {bench.label} with {spec.text} ({run.label if run else context})",
        {"context": kind, "size": shown, "sampling": {**asdict(sampling), "stop": list(sampling.stop)}, **bench.scope},
        {**bench.facts, "lm": digest_of(dict(identity)), "prompt": spec.prompt.digest},
        produce,
        needs,
        estimate=lambda: _writing_cost(bench, shown, sampling),
        work=digest_of(dict(identity)),
    )


def _writing_cost(bench: Bench, size: int, sampling: Sampling) -> Estimate:
    """One answer per query, as long as it may grow."""
    passages = bench.task.passages
    mean_bytes = sum(len(passage.text) for passage in passages.values()) / len(passages)
    prompt = sum(size * mean_bytes + len(query.text) for query in bench.queries) / BYTES_PER_TOKEN
    return Estimate(len(bench.queries), round(prompt) + sampling.max_tokens * len(bench.queries))


@dataclass(frozen=True, slots=True)
class Judge:
    """What one language model says of a row: its labels of the pool, its answers from run, nothing and evidence.

    `labels` holds those that all rows share first. The measures of a held-out model end in its spec.
    """

    spec: LmSpec
    held_out: bool
    labels: tuple[Step, ...] = ()
    generations: Step | None = None
    closed_book: Step | None = None
    gold: Step | None = None

    def steps(self) -> dict[str, Step]:
        """Its steps by role."""
        single = {"generations": self.generations, "closed_book": self.closed_book, "gold": self.gold}
        labels = {f"labels {place}": step for place, step in enumerate(self.labels)}
        return {role: step for role, step in single.items() if step} | labels

    def needs(self) -> dict[str, Step]:
        """Its steps under names that no other judge uses."""
        return {f"{self.spec.text} {role}": step for role, step in self.steps().items()}


def evaluate_step(
    bench: Bench,
    name: str,
    run: Step,
    pools: Step,
    measures: Sequence[Measure],
    judges: Sequence[Judge],
    definition: str,
) -> Step:
    """Stage evaluate: values per query, and their means with intervals.

    Measures by scorer and generator bear their plain names; a held-out model's end in its spec, `TokenF1 [lab:neox]`.
    """

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        base = Judged(
            queries=[query.id for query in bench.queries],
            run=runs.read_run(inputs["run"].folder / RUN),
            qrels=bench.task.qrels,
            annotations=bench.task.annotations,
            passages=bench.task.passages,
            pools=read_pools(inputs["pools"]),
        )
        plain = [measure for measure in measures if not measure.needs & JUDGED_NEEDS]
        values = pipeline.evaluate(plain, base) if plain else []
        for judge in judges:
            values += _judged_values(judge, base, inputs, measures, definition)
        runs.write_values(values, folder / VALUES)
        (folder / SUMMARY).write_text(canonical_json(summary(values, bench.documents, bench.task.annotations)))
        return {}

    config: dict[str, Json] = {
        "measures": [str(measure) for measure in measures],
        "definition": definition,
        "judges": [{"spec": judge.spec.text, "held out": judge.held_out} for judge in judges],
        **bench.scope,
    }
    needs = {"run": run, "pools": pools} | {role: step for judge in judges for role, step in judge.needs().items()}
    return Step("evaluate", f"evaluate {name} on {bench.label}", config, bench.facts, produce, needs)


def _judged_values(
    judge: Judge, base: Judged, inputs: Mapping[str, Artifact], measures: Sequence[Measure], definition: str
) -> list[Value]:
    found = {role: inputs[f"{judge.spec.text} {role}"] for role in judge.steps()}
    labels = [runs.read_utilities(found[role].folder / UTILITIES) for role in found if role.startswith("labels")]
    shared = utilities(labels[0], definition) if labels else {}
    judged = replace(
        base,
        utilities=utilities(chain.from_iterable(labels), definition) if labels else None,
        labelled_pool={query: frozenset(row) for query, row in shared.items()} if labels else None,
        generations=_generations(found, "generations"),
        closed_book=_generations(found, "closed_book"),
        gold=_generations(found, "gold"),
    )
    lacking = {need for need in JUDGED_NEEDS if getattr(judged, need) is None}
    asked = [measure for measure in measures if measure.needs & JUDGED_NEEDS and not measure.needs & lacking]
    values = pipeline.evaluate(asked, judged) if asked else []
    suffix = f" [{judge.spec.text}]" if judge.held_out else ""
    return [replace(value, measure=value.measure + suffix) for value in values]


def _generations(found: Mapping[str, Artifact], role: str) -> dict[str, GenerationRecord] | None:
    return runs.read_generations(found[role].folder / GENERATIONS) if role in found else None


def compare_step(bench: Bench, evaluated: Mapping[str, Sequence[Step]], baseline: str) -> Step:
    """Stage compare: every system against the baseline and all pairs of systems, each family of tests under Holm.

    `evaluated` holds each system's evaluate steps, one per seed.
    """

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        values = {
            system: [runs.read_values(inputs[f"{system} {place}"].folder / VALUES) for place in range(len(steps))]
            for system, steps in evaluated.items()
        }
        found = {
            "baseline": pipeline.compare(values, bench.documents, baseline=baseline),
            "pairs": pipeline.compare(values, bench.documents, baseline=None),
        }
        rows = {name: [asdict(comparison) for comparison in comparisons] for name, comparisons in found.items()}
        (folder / COMPARISONS).write_text(json.dumps(rows, indent=1, sort_keys=True))
        return {}

    needs = {f"{system} {place}": step for system, steps in evaluated.items() for place, step in enumerate(steps)}
    config: dict[str, Json] = {"baseline": baseline, **bench.scope}
    return Step("compare", f"compare {len(evaluated)} systems on {bench.label}", config, bench.facts, produce, needs)
