"""The stages in order, one function each: nouns in, nouns out.

    read -> pool -> retrieve -> label -> read_states -> train -> retrieve -> generate -> evaluate -> compare
                index, time                                      sample

Nothing here knows of files, keys or arguments: `experiment` wraps each stage in a key and keeps what it made.
Every function works alone in a notebook.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uae_bench import metrics, reading, significance
from uae_bench.errors import BadInput, NotPossible
from uae_bench.generation import generate_answers
from uae_bench.lm.base import Generator, LanguageModel, Sampling, Scorer, StateReader
from uae_bench.lm.remembered import Calls
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import (
    Asked,
    Comparison,
    GenerationRecord,
    Query,
    RetrievalView,
    Run,
    States,
    TrainingSet,
    Value,
)
from uae_bench.retrieval.chain import Chain, Fusion
from uae_bench.seper import Evidence, Judge, gather
from uae_bench.task.pool import document_pools
from uae_bench.task.task import Task, load_task
from uae_bench.utility import Labelling, label_items
from uae_bench.utility import label as label_utilities

if TYPE_CHECKING:
    from pydantic import BaseModel

    from uae_bench.metrics import Judged, Measure
    from uae_bench.retrieval.component import Resources, Searcher
    from uae_bench.significance import Correction
    from uae_bench.systems.trainer import Trainer

LEAST_TIMED = 10
"""So many queries are timed, however slow."""

Pools = Mapping[str, tuple[str, ...]] | None
"""The passages that each query may retrieve; None = the whole corpus."""


def read(name: str, *, data: Path | None = None, overrides: Mapping[str, object] | None = None) -> Task:
    """A task by the name or path of its card."""
    return load_task(name, data=data, overrides=overrides or {})


def pool(task: Task, split: str, kind: str) -> Pools:
    """What each query of a split may retrieve: its own `document`, or the whole `corpus`."""
    return None if kind == "corpus" else document_pools(task, split)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A run, what its making tells beside it (passages truncated, queries without a known term ...), and what language
    models were asked for each query."""

    run: Run
    facts: Mapping[str, float]
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True)
class Indexed:
    """A system with the passages of a view indexed, which runs and timings share.

    `searcher` is its first stage's; None where that fuses `members`.
    """

    chain: Chain
    view: RetrievalView
    searcher: Searcher[Any] | None
    members: tuple[Indexed, ...] = ()


def index(chain: Chain, view: RetrievalView) -> Indexed:
    """The system ready to search: its first stage has tokenised or encoded the passages. The bill of retrieval."""
    if isinstance(chain.first, Fusion):
        return Indexed(chain, view, None, tuple(index(member, view) for member in chain.first.members))
    return Indexed(chain, view, chain.first.prepare(view))


def retrieve(indexed: Indexed, *, depth: int) -> Retrieved:
    """What a system finds: its first stage searches, each reranker then orders anew, `depth` passages per query."""
    chain, view, searcher = indexed.chain, indexed.view, indexed.searcher
    if isinstance(chain.first, Fusion):
        kept = chain.first.rule.member_depth(depth)
        return fuse(chain, view, [retrieve(member, depth=kept) for member in indexed.members], depth=depth)
    if searcher is None:
        raise BadInput(f"{chain.name} is not indexed", hint="index it first")
    encoded = searcher.encode(view.queries)
    run = Run(chain.name, depth, searcher.search(view.queries, encoded, depth=depth))
    return _reranked(chain, view, Retrieved(run, searcher.facts(encoded, depth=depth)), depth)


def fuse(chain: Chain, view: RetrievalView, found: Sequence[Retrieved], *, depth: int) -> Retrieved:
    """What a system finds whose first stage fuses others, given what those found.

    What is told of them, and what they asked, bears their names.
    """
    if not isinstance(chain.first, Fusion):
        raise BadInput(f"{chain.name} fuses nothing", hint="retrieve what it finds")
    run = chain.first.rule.fuse(chain.name, [each.run for each in found], depth)
    facts = {f"{each.run.system}: {name}": value for each in found for name, value in each.facts.items()}
    asked = tuple(replace(one, step=f"{each.run.system}: {one.step}") for each in found for one in each.asked)
    return _reranked(chain, view, Retrieved(run, facts, asked), depth)


def _reranked(chain: Chain, view: RetrievalView, found: Retrieved, depth: int) -> Retrieved:
    run, facts, asked = found.run, dict(found.facts), list(found.asked)
    for reranker in chain.rerankers:
        reranked = reranker.rerank(view, run, depth=depth)
        run = reranked.run
        facts.update(reranked.facts)
        asked += reranked.asked
    return Retrieved(Run(chain.name, depth, run.rankings), facts, tuple(asked))


def time_queries(
    indexed: Indexed, *, depth: int, sample: int = 64, seconds: float = float("inf")
) -> dict[str, list[float]]:
    """Seconds per query, one query at a time, warm, over the first `sample` queries: encode, search, each reranker.

    Past `seconds` of timing it ends sooner, though not before `LEAST_TIMED` queries. Members of a fusion work one after
    the other: `encode` and `search` are sums over them, the fusion itself is part of `search`, and a member's reranker
    has a stage of its own that bears the member's name.

    Not in it: indexing, loading models, and encoding passages, also for a bi-encoder that reranks, since its vectors
    need no query. A reranker is handed the passages that its query's run holds and no others; a cross-encoder reads
    them while the clock runs.
    """
    queries = indexed.view.queries[:sample]
    passages = {passage.id: passage for passage in indexed.view.passages}

    def found_by(run: Run, queries: Sequence[Query]) -> RetrievalView:
        pools = {query.id: run.rankings[query.id].passages for query in queries}
        kept = dict.fromkeys(passage for pool in pools.values() for passage in pool)
        return RetrievalView(tuple(passages[passage] for passage in kept), tuple(queries), pools)

    def timed(
        system: Indexed, queries: Sequence[Query], depth: int, *, asking: bool = True
    ) -> tuple[Run, dict[str, float]]:
        """A run over the queries and the seconds of each stage; without what remembers its answers if not `asking`."""
        chain, searcher = system.chain, system.searcher
        took = {"encode": 0.0, "search": 0.0}
        if isinstance(chain.first, Fusion):
            runs = []
            for member in system.members:
                found, its = timed(member, queries, chain.first.rule.member_depth(depth), asking=asking)
                runs.append(found)
                for stage, lasted in its.items():
                    own = stage if stage in ("encode", "search") else f"{member.chain.name}: {stage}"
                    took[own] = took.get(own, 0.0) + lasted
            started = time.perf_counter()
            run = chain.first.rule.fuse(chain.name, runs, depth)
            took["search"] += time.perf_counter() - started
        elif searcher is not None:
            started = time.perf_counter()
            encoded = searcher.encode(queries)
            between = time.perf_counter()
            run = Run(chain.name, depth, searcher.search(queries, encoded, depth=depth))
            took = {"encode": between - started, "search": time.perf_counter() - between}
        for place, reranker in enumerate(chain.rerankers, start=1):
            if not asking and reranker.forgetful() is not reranker:
                continue
            alone = found_by(run, queries)
            started = time.perf_counter()
            run = reranker.rerank(alone, run, depth=depth).run
            took[f"rerank {place}"] = time.perf_counter() - started
        return Run(chain.name, depth, run.rankings), took

    timed(indexed, queries, depth, asking=False)  # loads rerankers, which encode the passages of all these queries
    clocked = _forgetful(indexed)
    timed(clocked, queries[:1], depth)  # a first query alone takes longer
    rows = list[dict[str, float]]()
    until = time.perf_counter() + seconds
    for query in queries:
        rows.append(timed(clocked, [query], depth)[1])
        if len(rows) >= LEAST_TIMED and time.perf_counter() > until:
            break
    return {stage: [row[stage] for row in rows] for stage in rows[0]}


def _forgetful(indexed: Indexed) -> Indexed:
    """The same system with rerankers that do all their work every time, those of a fusion's members too."""
    rerankers = tuple(reranker.forgetful() for reranker in indexed.chain.rerankers)
    members = tuple(map(_forgetful, indexed.members))
    return replace(indexed, chain=replace(indexed.chain, rerankers=rerankers), members=members)


def label(
    scorer: Scorer,
    task: Task,
    candidates: Mapping[str, Sequence[str]],
    *,
    template: PromptTemplate,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Labelling:
    """Raw utilities of every candidate passage (ids by query id) for every reference answer of its query.

    A query whose only answer is that there is none has no utility and no rows. `model` is the scorer's identity,
    under which finished batches are found again in `calls`.
    """
    answers = {query: task.answers(query) for query in candidates}
    return label_utilities(
        scorer,
        label_items(candidates, answers),
        queries=task.queries,
        passages=task.passages,
        answers=answers,
        template=template,
        model=model,
        calls=calls,
        progress=progress,
    )


def sample(
    generator: LanguageModel,
    judge: Judge,
    task: Task,
    candidates: Mapping[str, Sequence[str]],
    *,
    template: PromptTemplate,
    sampling: Sampling,
    count: int,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Evidence:
    """Evidence for SePer: `count` answers to each query with each of its candidates (ids) alone and with none, and
    whether they and the reference answers entail one another.
    """
    return gather(
        generator,
        judge,
        candidates,
        queries=task.queries,
        passages=task.passages,
        answers={query: task.answers(query) for query in candidates},
        template=template,
        sampling=sampling,
        count=count,
        model=model,
        calls=calls,
        progress=progress,
    )


def read_states(
    reader: StateReader,
    task: Task,
    pairs: Sequence[tuple[str, str]],
    *,
    template: PromptTemplate,
    progress: Progress = SILENT,
) -> States:
    """What a language model has in mind after (query id, passage id) pairs; trainers may learn from it."""
    return reading.read_states(
        reader, pairs, queries=task.queries, passages=task.passages, template=template, progress=progress
    )


def training_set(
    task: Task,
    train: Sequence[str],
    dev: Sequence[str],
    candidates: Run,
    utilities: Mapping[str, Mapping[str, float]],
    *,
    states: States | None = None,
    definition: str = "log-ratio",
    provenance: Mapping[str, str] | None = None,
) -> TrainingSet:
    """What a trainer is handed: queries by split, their candidates, utilities, and marked evidence.

    Raises:
        NotPossible: a query stands in a split that its card does not mark for training (train) or choice (dev).
    """
    allowed = {query for split in task.splits.values() if split.use == "train" for query in split.queries}
    barred = [query for query in train if query not in allowed]
    tested = {query for split in task.splits.values() if split.use == "test" for query in split.queries}
    barred += [query for query in dev if query in tested]
    if barred:
        raise NotPossible(
            f"the query {barred[0]!r} of {task.name} is not for training", hint="train on another task: --train-task"
        )
    known = {*train, *dev}
    return TrainingSet(
        passages=task.passages,
        train=tuple(task.queries[query] for query in train),
        dev=tuple(task.queries[query] for query in dev),
        candidates=candidates,
        utilities=utilities,
        evidence={query: task.evidence(query) for query in known},
        states=states,
        definition=definition,
        provenance=provenance or {},
    )


def permuted(utilities: Mapping[str, Mapping[str, float]], seed: int) -> dict[str, dict[str, float]]:
    """Utilities dealt anew among the passages of each query: the control that leaves a trainer nothing to learn."""
    rng = np.random.default_rng(seed)
    return {
        query: dict(zip(row, rng.permutation(list(row.values())).tolist(), strict=True))
        for query, row in sorted(utilities.items())
    }


def train(
    trainer: Trainer, data: TrainingSet, options: BaseModel, encoder: str, seed: int, out: Path, resources: Resources
) -> None:
    """A trained bi-encoder in the folder `out`."""
    trainer.train(data, options, encoder, seed, out, resources)


def generate(
    generator: Generator,
    task: Task,
    contexts: Mapping[str, Sequence[str]],
    *,
    template: PromptTemplate,
    sampling: Sampling,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> list[GenerationRecord]:
    """What the generator answers to each query from its context (passage ids, best first; none means closed book)."""
    return generate_answers(
        generator,
        contexts,
        queries=task.queries,
        passages=task.passages,
        template=template,
        sampling=sampling,
        model=model,
        calls=calls,
        progress=progress,
    )


def evaluate(measures: Sequence[Measure], judged: Judged, progress: Progress = SILENT) -> list[Value]:
    """One value per query and measure."""
    return metrics.evaluate(measures, judged, progress)


def compare(
    values: Mapping[str, Sequence[Sequence[Value]]],
    documents: Mapping[str, str],
    *,
    baseline: str | None,
    correction: Correction = "holm",
    seed: int = 0,
    progress: Progress = SILENT,
) -> list[Comparison]:
    """Each system against the baseline, or all pairs where it is None; clustered by document, corrected within a
    measure.

    `values` holds the values of each system, one sequence per training seed; a query's value is its mean over seeds.
    """
    means = {system: mean_over_seeds(seeds) for system, seeds in values.items()}
    rng = np.random.default_rng(seed)
    return significance.compare_all(means, documents, baseline, rng, correction=correction, progress=progress)


def mean_over_seeds(seeds: Sequence[Sequence[Value]]) -> list[Value]:
    """One value per query and measure. Undefined in one seed means undefined: it is a property of the query.

    Raises:
        BadInput: a value that some seeds have and others lack.
    """
    if len(seeds) == 1:
        return list(seeds[0])
    table: dict[tuple[str, str], list[Value]] = {}
    for values in seeds:
        for value in values:
            table.setdefault((value.query, value.measure), []).append(value)
    means = []
    for (query, measure), rows in table.items():
        if len(rows) != len(seeds):
            raise BadInput(
                f"{measure} of the query {query!r} has values of {len(rows)} seeds, and there are {len(seeds)}",
                hint="measure all seeds alike",
            )
        why = next((row.why for row in rows if row.why), "")
        means.append(Value(query, measure, sum(row.value for row in rows) / len(rows), why))
    return means
