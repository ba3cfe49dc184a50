"""The score, from evidence alone: no model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from uae_bench.records import EntailmentRow, SampleRow
from uae_bench.seper.options import Agreement

AGREEMENTS: Mapping[Agreement, Callable[[EntailmentRow], float]] = {
    "either": lambda row: max(row.entails, row.entailed),
    "mean": lambda row: (row.entails + row.entailed) / 2,
    "both": lambda row: min(row.entails, row.entailed),
}
"""From both directions of entailment to one number in [0, 1]. `either` is what the method's authors compute."""


def weights(samples: Sequence[SampleRow]) -> list[float]:
    """Each text's weight: exp of its mean log-probability, once for each time that it was sampled, normalised.

    A sample that says nothing has no likelihood: it keeps its share, one of as many as there are samples, and says
    nothing with it. So the weights of n samples, of which m say something, sum to m / n.
    """
    drawn = sum(sample.times for sample in samples)
    spoken = sum(sample.times for sample in samples if sample.tokens)
    if not spoken:
        return [0.0] * len(samples)
    means = [sample.logprob / sample.tokens if sample.tokens else -math.inf for sample in samples]
    highest = max(means)
    masses = [sample.times * math.exp(mean - highest) for sample, mean in zip(samples, means, strict=True)]
    total = math.fsum(masses)
    return [spoken / drawn * mass / total for mass in masses]


def seper(samples: Sequence[SampleRow], agreed: Mapping[str, Mapping[int, float]]) -> float:
    """max over references of Σ weight · agreement, in [0, 1]: what of the sampled belief means the reference.

    `agreed` maps a text to each reference (its index) to how far the two agree.
    """
    by_reference: dict[int, list[float]] = defaultdict(list)
    for sample, weight in zip(samples, weights(samples), strict=True):
        for reference, agreement in agreed.get(sample.text, {}).items():
            by_reference[reference].append(weight * agreement)
    return max((math.fsum(parts) for parts in by_reference.values()), default=0.0)


def delta_seper(
    samples: Iterable[SampleRow], entailments: Iterable[EntailmentRow], agreement: Agreement = "either"
) -> dict[str, dict[str, float]]:
    """ΔSePer per query and passage, in [−1, 1]: SePer of the samples with the passage minus that of those without."""
    agreed: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in entailments:
        agreed[row.query][row.text][row.answer] = AGREEMENTS[agreement](row)
    drawn: dict[str, dict[str | None, list[SampleRow]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        drawn[sample.query][sample.passage].append(sample)
    found = {}
    for query, contexts in drawn.items():
        without = seper(contexts[None], agreed[query])
        found[query] = {
            passage: seper(rows, agreed[query]) - without for passage, rows in contexts.items() if passage is not None
        }
    return found
