"""From judged output to values, one per query and measure, and from values to means."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from uae_bench.errors import BadInput
from uae_bench.metrics.judged import Judged
from uae_bench.metrics.measure import Compute, Measure
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Annotation, AnswerKind, Value


def evaluate(measures: Iterable[Measure | str], judged: Judged, progress: Progress = SILENT) -> list[Value]:
    """Every measure of every query of the split, in the order of the measures and then of the queries.

    Raises:
        UnknownName, BadInput: a measure that does not parse; input that would bend a mean (see `Judged.check`).
        NotPossible: a measure needs utilities or generations that were not made.
    """
    asked = list(dict.fromkeys(Measure.parse(m) if isinstance(m, str) else m for m in measures))
    judged.check(asked)
    passes: dict[Compute, list[Measure]] = defaultdict(list)
    for measure in asked:
        passes[measure.family.compute].append(measure)
    found: dict[str, list[Value]] = {str(measure): [] for measure in asked}
    for compute, together in progress.track(passes.items(), total=len(passes), label="measures by family"):
        for value in compute(together, judged):
            found[value.measure].append(value)
    return [value for values in found.values() for value in values]


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean of one measure over the `n` queries where it is defined, nan where `n` is 0.

    `undefined` queries are left out. `missing` of the `n` count as 0 for want of a generation.
    """

    measure: str
    value: float
    n: int
    undefined: int
    missing: int = 0


def summarise(values: Iterable[Value]) -> list[Mean]:
    """The mean of each measure, in the order of their first values."""
    by_measure: dict[str, list[Value]] = defaultdict(list)
    for value in values:
        by_measure[value.measure].append(value)
    return [_mean(measure, group) for measure, group in by_measure.items()]


def _mean(measure: str, values: Sequence[Value]) -> Mean:
    defined = [value for value in values if not math.isnan(value.value)]
    return Mean(
        measure,
        math.fsum(value.value for value in defined) / len(defined) if defined else math.nan,
        n=len(defined),
        undefined=len(values) - len(defined),
        missing=sum(bool(value.why) for value in defined),
    )


def by_group(values: Iterable[Value], groups: Mapping[str, str]) -> dict[str, list[Mean]]:
    """The means within each group of queries, groups in alphabetical order; `groups` maps a query to its group.

    Raises:
        BadInput: a query without a group.
    """
    members: dict[str, list[Value]] = defaultdict(list)
    for value in values:
        if value.query not in groups:
            raise BadInput(f"the query {value.query!r} belongs to no group", hint="name a group for every query")
        members[groups[value.query]].append(value)
    return {group: summarise(members[group]) for group in sorted(members)}


def by_kind(values: Iterable[Value], kinds: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Means of each measure by kind of answer, over the queries that have one; empty where only one kind occurs."""
    known = [value for value in values if value.query in kinds]
    if len({kinds[value.query] for value in known}) < 2:
        return {}
    table: dict[str, dict[str, float]] = {}
    for kind, means in by_group(known, kinds).items():
        for mean in means:
            table.setdefault(mean.measure, {})[kind] = mean.value
    return table


def answer_kinds(annotations: Mapping[str, tuple[Annotation, ...]]) -> dict[str, AnswerKind]:
    """The kind of answer that most annotators gave to each query, the earliest such where they are as many.

    QASPER's evaluator files a query under the kind of the reference that suited the prediction best, which moves
    queries between kinds from system to system; this does not. Queries without annotations are left out.
    """
    return {
        query: Counter(annotation.answer.kind for annotation in given).most_common(1)[0][0]
        for query, given in annotations.items()
        if given
    }


def values_of(values: Iterable[Value], measure: Measure | str) -> dict[str, float]:
    """The values of one measure by query, nan included."""
    name = str(measure)
    return {value.query: value.value for value in values if value.measure == name}
