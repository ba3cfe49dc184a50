"""Stages generate, evaluate and compare: what language models make of a run, its measures, and tests of systems."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import pipeline, runs
from uae_bench.experiment.bench import COMPARISONS, FACTS, GENERATIONS, RUN, SUMMARY, UTILITIES, VALUES, Bench
from uae_bench.experiment.retrieving import read_pools
from uae_bench.experiment.steps import BYTES_PER_TOKEN, Estimate, Step
from uae_bench.lm.base import Sampling
from uae_bench.lm.spec import LmSpec
from uae_bench.metrics import MEASURES, Judged, Measure, answer_kinds
from uae_bench.progress import Progress
from uae_bench.records import GenerationRecord, Run, Value
from uae_bench.significance import Correction
from uae_bench.store import Artifact, Json, canonical_json, finite
from uae_bench.summary import summary
from uae_bench.task.task import reading_order
from uae_bench.utility import utilities

JUDGED_NEEDS = frozenset({"utilities", "generations", "closed_book", "gold"})
"""What only a language model can give; measures without such a need are the same under every model."""


def generate_step(bench: Bench, spec: LmSpec, context: Step | str, size: int, sampling: Sampling) -> Step:
    """Stage generate: an answer per query from the first `size` passages of a run, from none (`closed-book`), or
    from the marked evidence in reading order (`gold`).
    """
    facts = bench.asking(spec)
    run = context if isinstance(context, Step) else None
    shown = 0 if context == "closed-book" else size

    def contexts(inputs: Mapping[str, Artifact]) -> dict[str, Sequence[str]]:
        if run is not None:
            rankings = runs.read_run(inputs["run"].folder / RUN).rankings
            return {query.id: rankings[query.id].passages[:shown] for query in bench.queries}
        return {query.id: reading_order(bench.task.evidence(query.id))[:shown] for query in bench.queries}

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        written = pipeline.generate(
            bench.models.get(spec),
            bench.task,
            contexts(inputs),
            template=spec.prompt,
            sampling=sampling,
            model=bench.identity(spec),
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        runs.write_generations(written, folder / GENERATIONS)
        tokens = sum(record.prompt_tokens + record.completion_tokens for record in written)
        return {"tokens": tokens, "work": facts["lm"]}

    kind = "retrieved" if run else str(context)
    needs = {"run": run} if run else {}
    return Step(
        "generate",
        f"answer {bench.label} with {spec.shown} ({run.label if run else context})",
        {"context": kind, "size": shown, "sampling": {**asdict(sampling), "stop": list(sampling.stop)}, **bench.scope},
        facts,
        produce,
        needs,
        estimate=lambda: _writing_cost(bench, shown, sampling),
        work=facts["lm"],
    )


def _writing_cost(bench: Bench, size: int, sampling: Sampling) -> Estimate:
    """One answer per query, as long as it may grow."""
    prompt = sum(size * bench.passage_length + len(query.text) for query in bench.queries) / BYTES_PER_TOKEN
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

    @property
    def name(self) -> str:
        """The model as keys, measures and records name it."""
        return self.spec.shown

    def steps(self) -> dict[str, Step]:
        """Its steps by role."""
        single = {"generations": self.generations, "closed_book": self.closed_book, "gold": self.gold}
        labels = {f"labels {place}": step for place, step in enumerate(self.labels)}
        return {role: step for role, step in single.items() if step} | labels

    def needs(self) -> dict[str, Step]:
        """Its steps under names that no other judge uses."""
        return {f"{self.name} {role}": step for role, step in self.steps().items()}


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
        progress = bench.resources.progress
        values = pipeline.evaluate(plain, base, progress) if plain else []
        for judge in judges:
            values += _judged_values(judge, base, inputs, measures, definition, progress)
        runs.write_values(values, folder / VALUES)
        (folder / FACTS).write_text(canonical_json(_ties(base.run, {measure.cutoff for measure in measures})))
        means = summary(values, bench.documents, answer_kinds(bench.task.annotations), progress)
        (folder / SUMMARY).write_text(canonical_json([mean.model_dump(mode="json") for mean in means]))
        return {}

    config: dict[str, Json] = {
        "measures": [str(measure) for measure in measures],
        "definition": definition,
        "judges": [{"spec": judge.name, "held out": judge.held_out} for judge in judges],
        **bench.scope,
    }
    versions = {each.name: each.family.version for each in measures if not MEASURES.is_built_in(each.name)}
    if versions:
        config["versions of measures"] = dict(versions)
    needs = {"run": run, "pools": pools} | {role: step for judge in judges for role, step in judge.needs().items()}
    return Step("evaluate", f"evaluate {name} on {bench.label}", config, bench.facts, produce, needs)


def _ties(run: Run, cutoffs: Collection[int | None]) -> dict[str, int]:
    """How many queries have equal scores on both sides of a measure's cutoff: there the passage ids decide."""
    scores = [ranking.scores for ranking in run.rankings.values()]
    return {
        f"queries whose scores at ranks {cutoff} and {cutoff + 1} are equal": tied
        for cutoff in sorted(filter(None, cutoffs))
        if (tied := sum(len(each) > cutoff and each[cutoff - 1] == each[cutoff] for each in scores))
    }


def _judged_values(
    judge: Judge,
    base: Judged,
    inputs: Mapping[str, Artifact],
    measures: Sequence[Measure],
    definition: str,
    progress: Progress,
) -> list[Value]:
    found = {role: inputs[f"{judge.name} {role}"] for role in judge.steps()}
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
    values = pipeline.evaluate(asked, judged, progress) if asked else []
    suffix = f" [{judge.name}]" if judge.held_out else ""
    return [replace(value, measure=value.measure + suffix) for value in values]


def _generations(found: Mapping[str, Artifact], role: str) -> dict[str, GenerationRecord] | None:
    return runs.read_generations(found[role].folder / GENERATIONS) if role in found else None


class Testing(BaseModel):
    """What `--set significance.…` may set, of the tests between the rows of a run; boards are always under Holm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    correction: Correction = Field(default="holm", description="of the p-values within a measure")


def compare_step(bench: Bench, evaluated: Mapping[str, Sequence[Step]], baseline: str, testing: Testing) -> Step:
    """Stage compare: every system against the baseline and all pairs of systems, each family of tests corrected.

    `evaluated` holds each system's evaluate steps, one per seed.
    """

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        values = {
            system: [runs.read_values(inputs[f"{system} {place}"].folder / VALUES) for place in range(len(steps))]
            for system, steps in evaluated.items()
        }
        found = {
            name: pipeline.compare(
                values,
                bench.documents,
                baseline=against,
                correction=testing.correction,
                progress=bench.resources.progress,
            )
            for name, against in (("baseline", baseline), ("pairs", None))
        }
        rows = finite({name: [asdict(comparison) for comparison in comparisons] for name, comparisons in found.items()})
        (folder / COMPARISONS).write_text(json.dumps(rows, indent=1, sort_keys=True, allow_nan=False))
        return {}

    needs = {f"{system} {place}": step for system, steps in evaluated.items() for place, step in enumerate(steps)}
    config: dict[str, Json] = {"baseline": baseline, **testing.model_dump(), **bench.scope}
    return Step("compare", f"compare {len(evaluated)} systems on {bench.label}", config, bench.facts, produce, needs)
