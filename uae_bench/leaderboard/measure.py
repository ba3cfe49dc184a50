"""What a column measures, and by whose judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from uae_bench.leaderboard.shelf import judge
from uae_bench.metrics import Measure
from uae_bench.result import ResultRecord

Topic = Literal["evidence", "utility", "answers"]

_SUFFIXED = re.compile(r"(?P<measure>.+?) \[(?P<spec>.+)\]")
_TOPICS: tuple[tuple[Topic, frozenset[str]], ...] = (
    ("utility", frozenset({"utilities"})),
    ("answers", frozenset({"generations", "closed_book", "gold"})),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A measure as a record spells it: its own name, what it looks at, and the language model that judged.

    `held_out` is the spec of a held-out model, empty for the scorer's and the generator's columns. `without_retrieval`:
    answers were written from no passage, or from the marked evidence, whatever a system retrieves.
    """

    name: str
    measure: str
    topic: Topic
    held_out: str
    higher_is_better: bool
    without_retrieval: bool


def column_of(name: str, record: ResultRecord) -> Column:
    """The column of a record's measure. A name that ends in ` [spec]` was judged by that model.

    Raises:
        UnknownName, BadInput: a measure of a package that is not installed, or a name that spells none.
    """
    match = _SUFFIXED.fullmatch(name)
    plain, spec = (match["measure"], match["spec"]) if match else (name, "")
    measure = Measure.parse(plain)
    topic: Topic = next((topic for topic, needs in _TOPICS if measure.needs & needs), "evidence")
    own = {model.spec for role in ("scorer", "generator") if (model := judge(record, role))}
    return Column(
        name=name,
        measure=plain,
        topic=topic,
        held_out="" if spec in own else spec,
        higher_is_better=measure.family.higher_is_better,
        without_retrieval=dict(measure.options).get("context") in ("none", "gold"),
    )


def held_out_family(record: ResultRecord, spec: str) -> str:
    """The family of a held-out model."""
    return next((ref.family for ref in record.models.values() if ref.spec == spec), "")
