"""What a system costs: latency in seconds, throughput, model calls and tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uae_bench.errors import BadInput
from uae_bench.records import GenerationRecord


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds per query over `n` timed queries: their mean, and percentiles, each a time that was measured (nearest
    rank)."""

    mean: float
    p50: float
    p95: float
    p99: float
    n: int


def latency(seconds: Sequence[float]) -> Latency:
    """Mean and percentiles of the samples, these by nearest rank: below 100 samples p99 is the slowest one.

    Raises:
        BadInput: no samples, or one that is negative, infinite or nan.
    """
    if not seconds:
        raise BadInput("a latency needs at least one timed query", hint="time some queries first")
    bad = [sample for sample in seconds if not (math.isfinite(sample) and sample >= 0)]
    if bad:
        raise BadInput(f"a latency of {bad[0]} s cannot be", hint="time with a monotonic clock")
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99], method="inverted_cdf")
    return Latency(sum(seconds) / len(seconds), float(p50), float(p95), float(p99), len(seconds))


def latency_by_stage(seconds: Mapping[str, Sequence[float]]) -> dict[str, Latency]:
    """Percentiles of each stage (encode, search ...) and of `total`, each query's sum over the stages.

    Raises:
        BadInput: stages timed over different numbers of queries, or a stage called `total`.
    """
    counts = {stage: len(samples) for stage, samples in seconds.items()}
    if len(set(counts.values())) != 1 or "total" in counts:
        raise BadInput(f"stages timed over {counts} queries cannot be added up", hint="time all stages of each query")
    stages = {stage: latency(samples) for stage, samples in seconds.items()}
    return stages | {"total": latency([sum(parts) for parts in zip(*seconds.values(), strict=True)])}


def throughput(queries: int, seconds: float) -> float:
    """Queries per second.

    Raises:
        BadInput: no time has passed.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise BadInput(f"{queries} queries in {seconds} s have no throughput", hint="time with a monotonic clock")
    return queries / seconds


def break_even(once: float, own: float, other: float) -> int | None:
    """After how many queries what was spent once is no more than what was saved: the least n with once + n·own ≤
    n·other. All three in one unit (seconds, tokens), the last two per query. None: it never is.

    Raises:
        BadInput: an amount that is negative, infinite or nan.
    """
    for amount in (once, own, other):
        if not (math.isfinite(amount) and amount >= 0):
            raise BadInput(f"a cost of {amount} cannot be", hint="give what was measured")
    if once == 0 and own <= other:
        return 0
    if other <= own:
        return None
    return math.ceil(round(once / (other - own), 6))  # 0.052 - 0.002 is not quite 0.05: no query more for that


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls to a language model and their tokens; `truncated_tokens` were cut from passages to fit a prompt."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.truncated_tokens + other.truncated_tokens,
        )


def usage(generations: Iterable[GenerationRecord]) -> Usage:
    """What some generations took, one call each."""
    return sum(
        (Usage(1, made.prompt_tokens, made.completion_tokens, made.truncated_tokens) for made in generations), Usage()
    )
