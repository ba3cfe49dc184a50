"""Stages pool and retrieve: which passages a query may find, and runs by systems, by references and from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import pipeline, runs
from uae_bench.experiment.bench import FACTS, RUN, UTILITIES, Bench
from uae_bench.experiment.imported import Imported
from uae_bench.experiment.steps import Step
from uae_bench.metrics import latency_by_stage, throughput
from uae_bench.pipeline import Pools
from uae_bench.references import REFERENCES
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import System, build_chain
from uae_bench.retrieval.component import Settings
from uae_bench.retrieval.dense import DENSE
from uae_bench.store import Artifact, Json, canonical_json, digest_of
from uae_bench.task.files import file_digest
from uae_bench.task.pool import hard_pools, small_pools
from uae_bench.utility import utilities


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
        chain = build_chain(system, configs, bench.running(), folders)
        indexed = pipeline.index(chain, bench.view(read_pools(inputs["pools"])))
        found = pipeline.retrieve(indexed, depth=depth)
        runs.write_run(found.run, folder / RUN)
        (folder / FACTS).write_text(canonical_json(dict(found.facts)))
        seconds = pipeline.time_queries(indexed, depth=depth)
        return {
            "latency": {stage: asdict(figures) for stage, figures in latency_by_stage(seconds).items()},
            "queries_per_second": throughput(len(seconds["encode"]), sum(map(sum, seconds.values()))),
        }

    needs = {"pools": pools, **{f"trained {name}": step for name, step in trained.items()}}
    config_json: dict[str, Json] = {"system": system.name, "depth": depth, "options": options, **bench.scope}
    return Step("retrieve", f"retrieve {system.name} on {bench.label}", config_json, facts, produce, needs)


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
