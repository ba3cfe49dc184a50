"""What measures look at: one system's output on one split, beside everything that it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from uae_bench.errors import BadInput, NotPossible
from uae_bench.metrics.measure import Measure, Need
from uae_bench.records import Annotation, GenerationRecord, Passage, Run

_REMEDY: Mapping[Need, str] = {
    "utilities": "label utilities first (name a scorer), or leave the measure out",
    "generations": "generate answers first (name a generator), or leave the measure out",
    "closed_book": "generate answers without any passage too, or leave the measure out",
    "gold": "generate answers from the marked evidence too, or leave the measure out",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One system's run and generations over `queries` (every query of the split), and what judges them.

    `generations` were written from the run's passages, `closed_book` from none, `gold` from the marked evidence.
    `utilities` maps each labelled query to the utility of each passage that was labelled for it. `labelled_pool` names
    the passages among them that are labelled for every system alike, where some were labelled for this run only; what
    a perfect ranking could have reached is judged by these, so that it is the same for all. None = all of them.
    `passages` is needed where evidence is compared by its text. None = not made.
    """

    queries: Sequence[str]
    run: Run
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    annotations: Mapping[str, tuple[Annotation, ...]] = field(default_factory=dict)
    passages: Mapping[str, Passage] = field(default_factory=dict)
    pools: Mapping[str, tuple[str, ...]] | None = None
    utilities: Mapping[str, Mapping[str, float]] | None = None
    labelled_pool: Mapping[str, frozenset[str]] | None = None
    generations: Mapping[str, GenerationRecord] | None = None
    closed_book: Mapping[str, GenerationRecord] | None = None
    gold: Mapping[str, GenerationRecord] | None = None

    def check(self, measures: Iterable[Measure]) -> None:
        """Refuse what would silently bend a mean.

        Raises:
            BadInput: no queries; a query that the run lacks; a passage ranked twice or from outside the pool;
                generations of other queries only.
            NotPossible: a measure needs what was not made.
        """
        self._check_run()
        for measure in measures:
            for need in sorted(measure.needs):
                given = getattr(self, need)
                if given is None:
                    raise NotPossible(f"{measure} needs {need}, and there are none", hint=_REMEDY[need])
                if need in ("generations", "closed_book") and not any(query in given for query in self.queries):
                    raise BadInput(
                        f"{need} hold {len(given)} queries, and none of the {len(self.queries)} of this split",
                        hint="they were made on another split or task",
                    )

    def _check_run(self) -> None:
        if not self.queries:
            raise BadInput("there are no queries to judge", hint="choose a split that has some")
        for query in self.queries:
            ranking = self.run.rankings.get(query)
            if ranking is None:
                raise BadInput(
                    f"the run of {self.run.system} lacks the query {query!r}, one of {len(self.queries)} of the split",
                    hint="retrieve for every query; one with no result has an empty ranking",
                )
            distinct = set(ranking.passages)
            if len(distinct) != len(ranking.passages):
                twice = next(passage for passage in ranking.passages if ranking.passages.count(passage) > 1)
                raise BadInput(
                    f"the run of {self.run.system} ranks {twice!r} more than once for the query {query!r}",
                    hint="a ranking holds each passage at most once",
                )
            outside = distinct.difference(self.pools.get(query, ())) if self.pools is not None else None
            if outside:
                raise BadInput(
                    f"the run of {self.run.system} ranks {min(outside)!r} for the query {query!r}, outside its pool",
                    hint="retrieve from the pool of the task, or evaluate with the pool that was retrieved from",
                )

    def has_relevant(self, query: str) -> bool:
        """Whether a passage is judged relevant, that is, of grade 1 or more."""
        return any(grade >= 1 for grade in self.qrels.get(query, {}).values())

    def top(self, query: str, cutoff: int) -> tuple[str, ...]:
        """The first `cutoff` passages of the query's ranking, fewer where fewer were retrieved."""
        return self.run.rankings[query].passages[:cutoff]

    def references(self, query: str) -> list[str]:
        """The distinct texts of the query's answers, in order."""
        return list(dict.fromkeys(annotation.answer.text for annotation in self.annotations.get(query, ())))

    def is_answerable(self, query: str) -> bool:
        """Whether an annotator gave an answer, not a blank one nor that there is none."""
        return any(annotation.answer.is_answer for annotation in self.annotations.get(query, ()))

    def evidence(self, query: str) -> Iterator[frozenset[str]]:
        """The texts that each annotator marked, one set per annotation: copies of a passage are one text."""
        for annotation in self.annotations.get(query, ()):
            yield self.texts(annotation.evidence)

    def texts(self, passages: Iterable[str]) -> frozenset[str]:
        """The distinct texts of some passages.

        Raises:
            BadInput: a passage that the task does not hold.
        """
        try:
            return frozenset(self.passages[passage].text for passage in passages)
        except KeyError as error:
            raise BadInput(f"no passage has the id {error}", hint="judge a run on the task it was made on") from error
