"""Means of a row with their intervals, as they stand in its record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from uae_bench.metrics import by_kind, summarise
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Value
from uae_bench.result import MeasureResult
from uae_bench.significance import bootstrap_intervals

INTERVAL_SEED = 0
"""Of the resampled documents behind an interval."""


def summary(
    values: Sequence[Value], documents: Mapping[str, str], kinds: Mapping[str, str], progress: Progress = SILENT
) -> list[MeasureResult]:
    """Per measure its mean, clustered 95 % interval, n, the undefined by reason, and means by kind of answer.

    `documents` maps each query to its document, `kinds` those that have an answer to its kind.
    """
    intervals = bootstrap_intervals(values, documents, np.random.default_rng(INTERVAL_SEED), progress=progress)
    parts = by_kind(values, kinds)
    reasons: dict[str, Counter[str]] = {}
    for value in values:
        if math.isnan(value.value):
            reasons.setdefault(value.measure, Counter())[value.why] += 1
    return [
        MeasureResult(
            measure=mean.measure,
            mean=_number(mean.value),
            low=_number(intervals[mean.measure].low),
            high=_number(intervals[mean.measure].high),
            n=mean.n,
            missing=mean.missing,
            undefined=dict(sorted(reasons.get(mean.measure, Counter()).items())),
            by_kind={kind: _number(part) for kind, part in parts.get(mean.measure, {}).items()},
        )
        for mean in summarise(values)
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
