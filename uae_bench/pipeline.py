"""The stages in order, one function each: nouns in, nouns out.

    read -> pool -> retrieve -> label -> train -> retrieve -> generate -> evaluate -> compare
                index, time   read_states, contrast          sample

Nothing here knows of files, keys or arguments: `experiment` wraps each stage in a key and keeps what it made.
Every function works alone in a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from uae_bench import metrics, reading, significance, timing
from uae_bench.contrast import Contrasting
from uae_bench.contrast import contrast as contrast_answers
from uae_bench.errors import BadInput, NotPossible
from uae_bench.generation import generate_answers
from uae_bench.lm.base import ContrastiveScorer, Generator, LanguageModel, Sampling, Scorer, StateReader
from uae_bench.lm.remembered import Calls
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import (
    Asked,
    Comparison,
    GenerationRecord,
    Likelihood,
    RetrievalView,
    Run,
    States,
    TrainingSet,
    Value,
)
from uae_bench.retrieval.chain import Chain, Fusion
from uae_bench.retrieval.component import numbered
from uae_bench.seper import Evidence, Judge, gather
from uae_bench.task.pool import document_pools
from uae_bench.task.task import Task, load_task
from uae_bench.timing import Indexed, Timed
from uae_bench.utility import Labelling, label_items
from uae_bench.utility import label as label_utilities

if TYPE_CHECKING:
    from pydantic import BaseModel

    from uae_bench.metrics import Judged, Measure
    from uae_bench.retrieval.component import Resources
    from uae_bench.significance import Correction
    from uae_bench.systems.trainer import Trainer

Pools = Mapping[str, tuple[str, ...]] | None
"""The passages that each query may retrieve; None = the whole corpus."""

Label = TypeVar("Label")


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
    names = numbered([reranker.name for reranker in chain.rerankers])
    for reranker, name in zip(chain.rerankers, names, strict=True):
        reranked = reranker.rerank(view, run, depth=depth)
        run = reranked.run
        facts.update({told.replace(reranker.name, name, 1): value for told, value in reranked.facts.items()})
        asked += [replace(one, step=name) for one in reranked.asked]
    return Retrieved(Run(chain.name, depth, run.rankings), facts, tuple(asked))


def time_queries(
    systems: Sequence[Indexed],
    *,
    depth: int,
    sample: int = 64,
    seconds: float = float("inf"),
    progress: Progress = SILENT,
) -> list[Timed]:
    """Seconds per query of each system: one query at a time, warm, over the first `sample` queries of their views.

    By stage: encode, search, each reranker. All systems answer a query before any is asked the next, so that what else
    the machine does falls on all alike, and they take turns there and back, so that none always follows the same one.
    Past `seconds` of timing it ends sooner, though not before `timing.LEAST_TIMED` queries. Members of a fusion work
    one after the other: `encode` and `search` are sums over them, the fusion itself is part of `search`, and a
    member's reranker has a stage of its own that bears the member's name.

    Not in it: indexing, loading models, and encoding passages, also for a bi-encoder that reranks, since its vectors
    need no query. A reranker is handed the passages that its query's run holds and no others; a cross-encoder reads
    them while the clock runs, and a language model is asked every time.

    Raises:
        BadInput: the systems were indexed for different queries.
    """
    return timing.time_queries(systems, depth=depth, sample=sample, seconds=seconds, progress=progress)


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


def contrast(
    scorer: ContrastiveScorer,
    task: Task,
    candidates: Mapping[str, Sequence[str]],
    alpha: float,
    *,
    template: PromptTemplate,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Contrasting:
    """Likelihoods of the reference answers by contrastive decoding, for the same items as `label`; trainers may learn
    from them."""
    answers = {query: task.answers(query) for query in candidates}
    return contrast_answers(
        scorer,
        label_items(candidates, answers),
        alpha,
        queries=task.queries,
        passages=task.passages,
        answers=answers,
        template=template,
        model=model,
        calls=calls,
        progress=progress,
    )


def training_set(
    task: Task,
    train: Sequence[str],
    dev: Sequence[str],
    candidates: Run,
    utilities: Mapping[str, Mapping[str, float]],
    *,
    states: States | None = None,
    contrasts: Mapping[str, Mapping[str, tuple[Likelihood, ...]]] | None = None,
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
        contrasts=contrasts,
        definition=definition,
        provenance=provenance or {},
    )


def permuted(labels: Mapping[str, Mapping[str, Label]], seed: int) -> dict[str, dict[str, Label]]:
    """Utilities, or other labels, dealt anew among the passages of each query: the control that leaves a trainer
    nothing to learn. Labels of the same passages in the same order are dealt alike by one seed.
    """
    rng = np.random.default_rng(seed)
    dealt = {}
    for query, row in sorted(labels.items()):
        values = list(row.values())
        dealt[query] = {passage: values[at] for passage, at in zip(row, rng.permutation(len(row)), strict=True)}
    return dealt


def train(
    trainer: Trainer, data: TrainingSet, options: BaseModel, encoder: str, seed: int, out: Path, resources: Resources
) -> None:
    """A trained model in the folder `out`."""
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
