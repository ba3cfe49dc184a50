"""Which systems can be told apart: tie groups as letters, rank ranges, and who may be called the best."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uae_bench.errors import BadInput
from uae_bench.records import LEAST_EFFECTIVE, Comparison
from uae_bench.significance.compare import few_effective


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a system stands on one measure.

    Systems that share a letter were not told apart. Its true rank may be anywhere from `best_rank` to `worst_rank`:
    1 + the number of systems significantly better, and the number of all less those significantly worse.
    `bold`: significantly better than every other. Where `why` is not empty there are no letters, any rank is
    possible and nobody is bold.
    """

    system: str
    mean: float
    letters: tuple[str, ...]
    best_rank: int
    worst_rank: int
    bold: bool
    why: str = ""


def standings(
    means: Mapping[str, float],
    comparisons: Sequence[Comparison],
    *,
    higher_is_better: bool = True,
    alpha: float = 0.05,
) -> list[Standing]:
    """The systems of one measure, best mean first (equal means by name), from the comparisons of all their pairs.

    Raises:
        BadInput: the comparisons are of several measures, or lack a pair of systems.
    """
    sign = -1 if higher_is_better else 1
    order = sorted(means, key=lambda system: (math.isnan(means[system]), sign * means[system], system))
    place = {system: index for index, system in enumerate(order)}
    _check_one_measure(comparisons)
    why = _too_few(comparisons)
    if why:
        return [Standing(system, means[system], (), 1, len(order), False, why) for system in order]
    _check_all_pairs(order, comparisons)
    apart = {
        frozenset((place[found.system], place[found.baseline]))
        for found in comparisons
        if found.p_adjusted <= alpha and found.system in place and found.baseline in place
    }
    groups = tie_groups(len(order), apart)
    standing = []
    for index, system in enumerate(order):
        better = sum(frozenset((other, index)) in apart for other in range(index))
        worse = sum(frozenset((other, index)) in apart for other in range(index + 1, len(order)))
        letters = tuple(_letter(number) for number, group in enumerate(groups) if index in group)
        first, last = 1 + better, len(order) - worse
        standing.append(Standing(system, means[system], letters, first, last, bold=first == last == 1 < len(order)))
    return standing


def tie_groups(count: int, apart: set[frozenset[int]]) -> list[frozenset[int]]:
    """The largest sets of items 0 … count − 1 that hold no pair of `apart`, by their first members.

    Two items share a set if and only if they are not apart (compact letter display; insert and absorb, Piepho 2004,
    doi:10.1198/1061860043515).
    """
    groups = {frozenset(range(count))} if count else set()
    for pair in sorted(apart, key=sorted):
        split = {group for group in groups if pair <= group}
        parts = {group - {item} for group in split for item in pair}
        kept = groups - split
        groups = kept | {part for part in parts if not any(part < other for other in kept | parts)}
    return sorted(groups, key=sorted)


def _letter(number: int) -> str:
    """a … z, then a2 … z2, and so on."""
    turn, letter = divmod(number, 26)
    return string.ascii_lowercase[letter] + (str(turn + 1) if turn else "")


def _too_few(comparisons: Sequence[Comparison]) -> str:
    effective = min((found.effective_documents for found in comparisons), default=LEAST_EFFECTIVE)
    return few_effective(effective) if effective < LEAST_EFFECTIVE else ""


def _check_one_measure(comparisons: Sequence[Comparison]) -> None:
    measures = sorted({found.measure for found in comparisons})
    if len(measures) > 1:
        raise BadInput(f"comparisons of {', '.join(measures)} make no one standing", hint="hand over one measure")


def _check_all_pairs(systems: Sequence[str], comparisons: Sequence[Comparison]) -> None:
    compared = {frozenset((found.system, found.baseline)) for found in comparisons}
    for index, a in enumerate(systems):
        for b in systems[:index]:
            if frozenset((a, b)) not in compared:
                raise BadInput(
                    f"{a} and {b} were not compared", hint="compare all pairs: compare_all(…, baseline=None)"
                )
