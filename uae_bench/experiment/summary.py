"""Means of a row with their intervals, as they stand in its record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from uae_bench.metrics import answer_kinds, by_group, summarise
from uae_bench.records import Annotation, Value
from uae_bench.significance import bootstrap_intervals
from uae_bench.store import Json

INTERVAL_SEED = 0


def summary(
    values: Sequence[Value], documents: Mapping[str, str], annotations: Mapping[str, tuple[Annotation, ...]]
) -> list[Json]:
    """One `MeasureResult` as JSON per measure: mean, clustered 95 % interval, n, the undefined by reason, by kind."""
    intervals = bootstrap_intervals(values, documents, np.random.default_rng(INTERVAL_SEED))
    kinds = _by_kind(values, annotations)
    reasons: dict[str, Counter[str]] = {}
    for value in values:
        if math.isnan(value.value):
            reasons.setdefault(value.measure, Counter())[value.why] += 1
    return [
        {
            "measure": mean.measure,
            "mean": _number(mean.value),
            "low": _number(intervals[mean.measure].low),
            "high": _number(intervals[mean.measure].high),
            "n": mean.n,
            "missing": mean.missing,
            "undefined": dict(sorted(reasons.get(mean.measure, Counter()).items())),
            "by_kind": kinds.get(mean.measure, {}),
        }
        for mean in summarise(values)
    ]


def _by_kind(
    values: Sequence[Value], annotations: Mapping[str, tuple[Annotation, ...]]
) -> dict[str, dict[str, float | None]]:
    """Mean per measure and kind of answer; nothing where only one kind occurs."""
    kinds: Mapping[str, str] = answer_kinds(annotations)
    known = [value for value in values if value.query in kinds]
    if len({kinds[value.query] for value in known}) < 2:
        return {}
    table: dict[str, dict[str, float | None]] = {}
    for kind, means in by_group(known, kinds).items():
        for mean in means:
            table.setdefault(mean.measure, {})[kind] = _number(mean.value)
    return table


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
