"""A small judged split to build tests from: five passages of one document, one or two queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uae_bench.metrics import Judged
from uae_bench.records import Annotation, Answer, AnswerKind, GenerationRecord, Passage, Ranking, Run

PASSAGES = {name: Passage(name, f"text of {name}", "", "doc") for name in "abcdefghij"}


def run_of(rankings: Mapping[str, str | Sequence[str]], *, depth: int = 10) -> Run:
    """A run whose rankings are spelled as passage ids, best first."""
    return Run(
        "mine",
        depth,
        {
            query: Ranking(tuple(passages), tuple(float(depth - index) for index in range(len(passages))))
            for query, passages in rankings.items()
        },
    )


def annotated(text: str, evidence: str = "", kind: AnswerKind = "extractive") -> Annotation:
    return Annotation(Answer(text, kind), tuple(evidence))


def wrote(query: str, text: str) -> GenerationRecord:
    return GenerationRecord(query, text, (), prompt_tokens=10, completion_tokens=2, truncated_tokens=0, finish="stop")


def perfect() -> Judged:
    """One query that everything went well for: every relevant and useful passage first, the answer word for word."""
    return Judged(
        queries=("q",),
        run=run_of({"q": "a"}),
        qrels={"q": {"a": 1, "b": 0}},
        annotations={"q": (annotated("four red foxes", "a"),)},
        passages=PASSAGES,
        pools={"q": ("a", "b", "c")},
        utilities={"q": {"a": 1.0, "b": -1.0, "c": 0.5}},
        generations={"q": wrote("q", "Four red foxes")},
        closed_book={"q": wrote("q", "no idea")},
        gold={"q": wrote("q", "the four red foxes.")},
    )
