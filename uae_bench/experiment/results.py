"""From artifacts to what a user keeps: a folder per row, records, a frame."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import uae_bench
from uae_bench import result, runs
from uae_bench.experiment.bench import (
    ASKED,
    COMPARISONS,
    COUNTS,
    FACTS,
    GENERATIONS,
    LATENCY,
    RUN,
    STATES,
    SUMMARY,
    VALUES,
)
from uae_bench.experiment.host import processor
from uae_bench.experiment.plan import Row, TaskPlan
from uae_bench.experiment.setup import Setup
from uae_bench.experiment.steps import Runner, Step
from uae_bench.lm.spec import parse_lm
from uae_bench.metrics import answer_kinds, latency_by_stage, throughput, usage
from uae_bench.prompts import RETRIEVAL, PromptTemplate, answer_of
from uae_bench.records import Asked, Comparison, GenerationRecord, Interval
from uae_bench.result import (
    ASKING,
    CUT,
    DECLINED,
    GROUPS,
    MANIFEST,
    MEASURED,
    NOTHING,
    RECORD,
    ArtifactRef,
    Cost,
    MeasureResult,
    PerQuery,
    QueryGroups,
    ResultRecord,
)
from uae_bench.significance import Correction, effective_clusters
from uae_bench.store import Artifact, Json, explained, file_digest, finite, lock, write_atomically
from uae_bench.systems import TRAINERS
from uae_bench.task.card import safe_name

if TYPE_CHECKING:
    import pandas as pd

UNDIGESTED = (MEASURED, MANIFEST)
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which `ru_maxrss` counts: kibibytes on Linux."""
MEASURED_PACKAGES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "bm25s", "numpy")


@dataclass(frozen=True, slots=True)
class Results:
    """The records of a run, the folder of each, and the comparisons of each task: against what and how corrected."""

    records: tuple[ResultRecord, ...]
    folders: tuple[Path, ...]
    comparisons: Mapping[str, tuple[Comparison, ...]]
    pairs: Mapping[str, tuple[Comparison, ...]]
    baselines: Mapping[str, str]
    corrections: Mapping[str, Correction]

    def frame(self) -> pd.DataFrame:
        """One row per task, system, seed and measure: mean, low, high, n, undefined."""
        import pandas as pd

        rows = [
            {
                "task": record.task,
                "split": record.split,
                "system": record.system,
                "seed": record.seed,
                "measure": measure.measure,
                "mean": measure.mean,
                "low": measure.low,
                "high": measure.high,
                "n": measure.n,
                "undefined": sum(measure.undefined.values()),
            }
            for record in self.records
            for measure in record.measures
        ]
        return pd.DataFrame(rows)


def to_json(results: Results) -> str:
    """Records and comparisons as one JSON document; what is undefined is null."""
    content = {
        "records": [record.model_dump(mode="json") for record in results.records],
        "folders": [str(folder) for folder in results.folders],
        "comparisons": {task: [asdict(one) for one in found] for task, found in results.comparisons.items()},
    }
    return _pretty(finite(content))


def write_row(plan: TaskPlan, row: Row, runner: Runner, out: Path) -> tuple[ResultRecord, Path]:
    """Fill `out/<task>/<system>/<split>-<pool>-seed<n>-<key>/`, manifest.json last; a whole folder is left as it is.

    The key is that of the row's evaluation, so another configuration is another folder. Of two processes that want
    the same folder the second waits.

    Raises:
        StoreError: `out` cannot be written, or the disk is full.
    """
    artifacts = {"run": runner.make(row.run)}
    timed = runner.make(row.latency) if row.latency is not None else None  # while the index is at hand
    artifacts |= {role: runner.make(step) for role, step in _steps_of(row).items()}
    setup = plan.setup
    name = f"{setup.split}-{setup.test.pool}-seed{row.seed}-{artifacts['evaluate'].key.digest[:8]}"
    folder = out / safe_name(plan.test.task.name) / safe_name(row.system) / name
    groups = result.to_json(_groups(plan))
    record = _record(plan, row, artifacts, runner, groups)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder.parent):
            if not _is_whole(folder, record):
                _fill(folder, record, groups, artifacts, timed, runner)
    return record, folder


def _fill(
    folder: Path,
    record: ResultRecord,
    groups: str,
    artifacts: Mapping[str, Artifact],
    timed: Artifact | None,
    runner: Runner,
) -> None:
    """Everything anew; the manifest goes first and comes last, so that a kill between leaves no whole folder."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for unfinished in folder.glob(".*.part"):
        unfinished.unlink()
    for role, artifact in artifacts.items():
        _copy(role, artifact, folder)
    runs.write_trec(runs.read_run(artifacts["run"].folder / RUN), folder / "run.trec")
    write_atomically(folder / GROUPS, groups)
    write_atomically(folder / RECORD, result.to_json(record))
    write_atomically(folder / MEASURED, _pretty(_measured(artifacts, timed, runner)))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in UNDIGESTED)
    write_atomically(folder / MANIFEST, _pretty({str(path.relative_to(folder)): file_digest(path) for path in files}))


def _steps_of(row: Row) -> dict[str, Step]:
    """The steps whose artifacts a row's folder shows, by role."""
    steps = {"run": row.run, "evaluate": row.evaluate} | {f"train {name}": step for name, step in row.train.items()}
    for role in ("labels", "states", "contrasts"):
        steps |= {f"{role} for {name}": step.needs[role] for name, step in row.train.items() if role in step.needs}
    steps |= {role: step for role, step in (("samples", row.samples), ("first", row.first)) if step}
    for judge in row.judges:
        steps |= {f"{judge.name} {role}": step for role, step in judge.steps().items()}
    return steps


def _is_whole(folder: Path, record: ResultRecord) -> bool:
    """Whether an earlier run finished this folder with the same record, and every file is still as it was written."""
    try:
        digests = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        same = (folder / RECORD).read_text(encoding="utf-8") == result.to_json(record)
        return same and all(file_digest(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def _copy(role: str, artifact: Artifact, folder: Path) -> None:
    """What of an artifact a user wants to open; utilities stay in the store, where `export` finds them."""
    stage = artifact.key.stage
    if stage == "train":
        model = folder / "model" / safe_name(role.partition(" ")[2])
        shutil.copytree(artifact.folder, model, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
    elif stage == "generate":
        shutil.copyfile(artifact.folder / GENERATIONS, folder / f"{safe_name(role.replace(' ', '.'))}.jsonl")
    elif stage in ("retrieve", "evaluate"):
        ranked = (ASKED,) if role == "first" else (RUN, ASKED)  # the run that is kept is the row's own
        names = ranked if stage == "retrieve" else (VALUES,)
        for name in names:
            if (artifact.folder / name).is_file():
                shutil.copyfile(artifact.folder / name, folder / name)


def _asked_with(row: Row, setup: Setup) -> list[PromptTemplate]:
    """The answering templates of the models that a row itself asks, to rank or for samples."""
    sampling = [parse_lm(setup.generator)] if row.samples else []
    return [spec.prompt for spec in (*row.asked, *sampling)]


def _groups(plan: TaskPlan) -> QueryGroups:
    """The document and the kind of answer of every scored query."""
    test = plan.test
    asked = {query.id: test.task.annotations.get(query.id, ()) for query in test.queries}
    return QueryGroups(documents=test.documents, kinds=answer_kinds(asked))


def _record(plan: TaskPlan, row: Row, artifacts: Mapping[str, Artifact], runner: Runner, groups: str) -> ResultRecord:
    setup, test, task = plan.setup, plan.test, plan.test.task
    measures = json.loads((artifacts["evaluate"].folder / SUMMARY).read_text(encoding="utf-8"))
    documents = test.documents.values()
    pools = runner.make(plan.test_pools)
    before = [artifacts[role] for role in ("first", "samples") if role in artifacts]
    telling = (pools, *before, artifacts["run"], artifacts["evaluate"])
    judging = {judge.spec.prompt.name: judge.spec.prompt.digest for judge in row.judges}
    asking = {prompt.name: prompt.digest for prompt in _asked_with(row, setup)}
    ranking = {f"{spec.prompt.name}, retrieval": RETRIEVAL[spec.prompt.name].digest for spec in row.asked}
    return ResultRecord(
        uae_bench=uae_bench.__version__,
        task=task.name,
        task_digest=task.digest,
        split=setup.split,
        partial=setup.limit is not None,
        pool=setup.test.pool,
        pool_digest=pools.digest,
        system=row.system,
        kind=row.kind,
        seed=row.seed,
        train_task=plan.training.task.name if row.train else None,
        depth=setup.test.depth,
        context_size=setup.context_size,
        definition=setup.test.definition,
        queries=len(test.queries),
        documents=len(set(documents)),
        effective_documents=effective_clusters(documents),
        settings=row.settings,
        models=row.models,
        prompts=judging | {f"{ASKING}{name}": digest for name, digest in {**asking, **ranking}.items()},
        measures=tuple(MeasureResult.model_validate(measure) for measure in measures),
        per_query=PerQuery(file=VALUES, digest=file_digest(artifacts["evaluate"].folder / VALUES)),
        groups=PerQuery(file=GROUPS, digest=hashlib.sha256(groups.encode()).hexdigest()),
        artifacts={
            role: ArtifactRef(stage=artifact.key.stage, key=artifact.key.digest, digest=artifact.digest)
            for role, artifact in artifacts.items()
        },
        costs={role: cost for role, artifact in artifacts.items() if (cost := cost_of(artifact))},
        notes=(
            *map(str, task.notes),
            *(fact for artifact in telling for fact in _facts(artifact)),
            *plan.remarks,
            *_chosen(plan, row),
            *(one for name in row.train for one in TRAINERS[name].remarks(artifacts[f"train {name}"].folder)),
        ),
    )


def _chosen(plan: TaskPlan, row: Row) -> tuple[str, ...]:
    """Said where a trained row is scored on the queries that chose its checkpoint."""
    task = plan.test.task
    choosing = {query for split in task.splits.values() if split.use == "dev" for query in split.queries}
    if (
        not row.train
        or plan.training.task.name != task.name
        or choosing.isdisjoint(task.split(plan.setup.split).queries)
    ):
        return ()
    return (f"chosen on {plan.setup.split}: the checkpoint is the best on these queries, so its values are too high",)


def cost_of(artifact: Artifact) -> Cost | None:
    """Calls and tokens of labels, contrasts, states, samples, generations, and rerankers that ask."""
    if (artifact.folder / ASKED).is_file():
        return _asking_cost(runs.read_asked(artifact.folder / ASKED))
    if artifact.key.stage in ("utility", "contrast"):
        counts = json.loads((artifact.folder / COUNTS).read_text())
        tokens, cut = counts["tokens"], counts["truncated_tokens"]
        return Cost(calls=counts["calls"], prompt_tokens=tokens, truncated_tokens=cut)
    if artifact.key.stage == "seper":
        counts = json.loads((artifact.folder / COUNTS).read_text())
        silent = {NOTHING: counts["silent"]} if counts["silent"] else {}
        return Cost(**{name: counts[name] for name in Cost.model_fields if name in counts}, outcomes=silent)
    if artifact.key.stage == "states":
        pairs, tokens = runs.count_states(artifact.folder / STATES)
        return Cost(calls=pairs, prompt_tokens=tokens)
    if artifact.key.stage == "generate":
        return _answering_cost(runs.read_generations(artifact.folder / GENERATIONS).values())
    return None


def _answering_cost(written: Collection[GenerationRecord]) -> Cost:
    found = {
        NOTHING: sum(not answer_of(one.text) for one in written),
        CUT: sum(one.finish == "length" for one in written),
        DECLINED: sum(one.finish == "refused" for one in written),
    }
    return Cost(**asdict(usage(written)), outcomes={name: count for name, count in found.items() if count})


def _asking_cost(asked: Sequence[Asked]) -> Cost:
    outcomes, repairs = Counter[str](), Counter[str]()
    for one in asked:
        outcomes.update(one.outcomes)
        repairs.update(one.repairs)
    return Cost(
        calls=sum(one.calls for one in asked),
        prompt_tokens=sum(one.prompt_tokens for one in asked),
        completion_tokens=sum(one.completion_tokens for one in asked),
        truncated_tokens=sum(one.cut_tokens for one in asked),
        outcomes=outcomes,
        repairs=repairs,
    )


def _facts(artifact: Artifact) -> tuple[str, ...]:
    """What a stage (a retriever, a hard pool) told of its work, where there is something to tell."""
    path = artifact.folder / FACTS
    facts = json.loads(path.read_text()) if path.is_file() else {}
    return tuple(f"{name.replace('_', ' ')}: {value:g}" for name, value in sorted(facts.items()))


def _measured(artifacts: Mapping[str, Artifact], timed: Artifact | None, runner: Runner) -> dict[str, Json]:
    """What clock and host decide: seconds per stage, latency, memory, versions, the command."""
    import resource

    stages = {role: runner.measured(artifact) for role, artifact in artifacts.items()}
    ran = [*stages.values(), *([runner.measured(timed)] if timed is not None else [])]
    return {
        "stages": stages,
        **(_latency(timed) if timed is not None else {}),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT,
        "device": _device([str(measured["device"]) for measured in ran if "device" in measured]) or runner.device,
        **environment(),
    }


def environment() -> dict[str, Json]:
    """The machine, the versions and the command: `host`, `python`, `packages`, `command`."""
    return {
        "host": {
            "machine": platform.machine(),
            "processor": processor(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
        },
        "python": platform.python_version(),
        "packages": {name: version(name) for name in MEASURED_PACKAGES},
        "command": shlex.join(["uae-bench", *sys.argv[1:]]) if Path(sys.argv[0]).name == "uae-bench" else "",
    }


def _device(used: Sequence[str]) -> str:
    """The accelerators that some stage ran on, else `cpu`; empty where no stage tells."""
    return ", ".join(sorted({*used} - {"cpu"})) or ("cpu" if used else "")


def _latency(timed: Artifact) -> dict[str, Json]:
    """Percentiles of seconds per query, and queries per second one by one, of the queries that were timed."""
    seconds = json.loads((timed.folder / LATENCY).read_text(encoding="utf-8"))
    return {
        "latency": {stage: asdict(figures) for stage, figures in latency_by_stage(seconds).items()},
        "queries_per_second": throughput(len(seconds["encode"]), sum(map(sum, seconds.values()))),
    }


def read_comparisons(artifact: Artifact) -> dict[str, tuple[Comparison, ...]]:
    """What the compare stage wrote: `baseline` and `pairs`."""
    text = (artifact.folder / COMPARISONS).read_text(encoding="utf-8")
    content = json.loads(text, object_hook=lambda row: {key: math.nan if row[key] is None else row[key] for key in row})
    return {
        name: tuple(Comparison(**{**row, "interval": Interval(**row["interval"])}) for row in rows)
        for name, rows in content.items()
    }


def _pretty(value: Json) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
