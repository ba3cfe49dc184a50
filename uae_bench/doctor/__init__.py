"""Probes of language models and encoders: does a backend give the same answer however it is asked?

What goes wrong elsewhere is looked for by name: scores that depend on the order of requests or on their company, two
begin tokens, an answer that begins at the wrong token, text that is cut unseen. Each probe says what it measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from uae_bench.errors import CheckFailed
from uae_bench.store import Json, finite

Verdict = Literal["passed", "failed", "told"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe measured: `value` in `unit`, of which at most `limit` is sound; None where nothing is judged.

    A value of nan is not sound; where nothing could be measured there is no limit and `note` says why.
    """

    probe: str
    measured: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.limit is None:
            return "told"
        return "passed" if self.value <= self.limit else "failed"

    def to_json(self) -> Mapping[str, Json]:
        """As `doctor --json` prints it; nan is null."""
        content = {name: getattr(self, name) for name in self.__slots__}
        told: dict[str, Json] = finite({**content, "verdict": self.verdict})
        return told


def require_passed(findings: Iterable[Finding], who: str, hint: str) -> None:
    """Nothing where no probe failed.

    Raises:
        CheckFailed: names the probes and the first one's measurement.
    """
    failed = [finding for finding in findings if finding.verdict == "failed"]
    if failed:
        first = failed[0]
        names = ", ".join(dict.fromkeys(finding.probe for finding in failed))
        note = f" ({first.note})" if first.note else ""
        limit = f"{first.limit:g}" if first.limit is not None else ""
        raise CheckFailed(
            f"{who} fails {names}: {first.measured}: {first.value:.4g} {first.unit}, at most {limit} is sound{note}",
            hint=hint,
        )


def largest(values: Sequence[float]) -> float:
    """The largest of some values, nan where one of them is: Python's own `max` may lose it."""
    return next((value for value in values if value != value), max(values))
