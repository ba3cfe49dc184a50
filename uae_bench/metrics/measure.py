"""A measure is a value with a grammar that parses and prints back: `NAME[(option=choice,…)][@cutoff]`.

    nDCG@10   R@5   Success@1   AP   ExpUtil@1   TokenF1   TokenF1(context=gold)   ROUGE-L(stem=no)

What a name means stands in its family, one per line of `MEASURES`; other packages add families through the
entry-point group `uae_bench.measures`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from uae_bench.errors import BadInput
from uae_bench.records import Value
from uae_bench.registry import Registry, nearest

if TYPE_CHECKING:
    from uae_bench.metrics.judged import Judged

Need = Literal["qrels", "utilities", "annotations", "generations", "closed_book", "gold"]
"""A field of `Judged` that a measure looks at, beside the run that every measure may look at."""

Compute = Callable[[Sequence["Measure"], "Judged"], Iterable[Value]]
"""The values of some measures whose families share one pass: one per measure and query of the split."""

_GRAMMAR = re.compile(r"(?P<name>[^@()\s]+)(?:\((?P<options>[^()]*)\))?(?:@(?P<cutoff>\S+))?")


@dataclass(frozen=True, slots=True)
class Family:
    """All measures of one name.

    `options` maps an option to its choices, the first being the default, and each choice to what it needs on top
    of `needs`. Options in `spoken` are printed even at their default, for they say which variant it is.
    `bounds` are the least and the greatest possible value. A change of `version` says that the measures now give
    other values; it counts for families of other packages, since `evaluate` has a version for the built-in ones.
    """

    name: str
    summary: str
    compute: Compute
    needs: frozenset[Need]
    cutoff: Literal["required", "optional", "none"]
    bounds: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    options: Mapping[str, Mapping[str, frozenset[Need]]] = field(default_factory=dict)
    spoken: frozenset[str] = frozenset()
    version: int = 1


MEASURES: Registry[Family] = Registry(
    "measure",
    {
        "nDCG": "uae_bench.metrics.ranking:NDCG",
        "AP": "uae_bench.metrics.ranking:AP",
        "RR": "uae_bench.metrics.ranking:RR",
        "R": "uae_bench.metrics.ranking:RECALL",
        "P": "uae_bench.metrics.ranking:PRECISION",
        "Success": "uae_bench.metrics.ranking:SUCCESS",
        "ExpUtil": "uae_bench.metrics.utility:EXPECTED_UTILITY",
        "uNDCG": "uae_bench.metrics.utility:UTILITY_NDCG",
        "TokenF1": "uae_bench.metrics.answer:TOKEN_F1",
        "EM": "uae_bench.metrics.answer:EXACT_MATCH",
        "ROUGE-L": "uae_bench.metrics.answer:ROUGE_L",
        "EvidenceF1": "uae_bench.metrics.answer:EVIDENCE_F1",
        "Lift": "uae_bench.metrics.answer:LIFT",
        "Harm": "uae_bench.metrics.answer:HARM",
    },
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: a family's name, a choice for each of its options, and a cutoff where it has one."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    cutoff: int | None = None

    @classmethod
    def parse(cls, text: str) -> Measure:
        """The measure that `text` spells; options left out take their defaults.

        Raises:
            UnknownName: no such family.
            BadInput: the spelling, an option, its choice or the cutoff is wrong.
        """
        match = _GRAMMAR.fullmatch(text.strip())
        if match is None:
            raise BadInput(f"{text!r} spells no measure", hint="NAME[(option=choice,…)][@cutoff], such as nDCG@10")
        family = MEASURES[match["name"]]
        return cls(family.name, _options(family, match["options"] or ""), _cutoff(family, match["cutoff"]))

    def __str__(self) -> str:
        family = self.family
        shown = [
            f"{name}={choice}"
            for name, choice in self.options
            if name in family.spoken or choice != next(iter(family.options[name]))
        ]
        options = f"({','.join(shown)})" if shown else ""
        return f"{self.name}{options}" + ("" if self.cutoff is None else f"@{self.cutoff}")

    def __getitem__(self, option: str) -> str:
        return dict(self.options)[option]

    @property
    def family(self) -> Family:
        return MEASURES[self.name]

    @property
    def needs(self) -> frozenset[Need]:
        """The fields of `Judged` that this measure cannot do without."""
        family = self.family
        return family.needs.union(*(family.options[name][choice] for name, choice in self.options))


def _options(family: Family, text: str) -> tuple[tuple[str, str], ...]:
    chosen = {name: next(iter(choices)) for name, choices in family.options.items()}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, choice = part.partition("=")
        if name not in family.options:
            known = nearest(name, family.options) if family.options else f"{family.name} has no options"
            raise BadInput(f"{family.name} has no option {name!r}", hint=known)
        if choice not in family.options[name]:
            raise BadInput(
                f"{family.name}({name}=…) cannot be {choice!r}", hint=f"one of {', '.join(family.options[name])}"
            )
        chosen[name] = choice
    return tuple(sorted(chosen.items()))


def _cutoff(family: Family, text: str | None) -> int | None:
    if text is None:
        if family.cutoff == "required":
            raise BadInput(f"{family.name} needs a cutoff", hint=f"write {family.name}@1, say")
        return None
    if family.cutoff == "none":
        raise BadInput(f"{family.name} takes no cutoff, and {text!r} was given", hint=f"write {family.name}")
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise BadInput(f"the cutoff of {family.name} is {text!r}", hint="a whole number from 1")
    return int(text)
