"""A system is a chain of components, written `bm25>minilm`, or a fusion of several, written `rrf(bm25,minilm>bge)`.

    system = step, { ">", step } ;
    step   = name | name, ":", argument | fusion, "(", system, ",", system, { ",", system }, ")" ;

It is checked before anything loads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from uae_bench.errors import UnknownName, UsageError
from uae_bench.registry import nearest
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Ability, Reranker, Resources, Retriever, Settings
from uae_bench.retrieval.fusion import FusionRule

_EXAMPLE = "write e.g. 'rrf(bm25,minilm)>bge-reranker'"
NO_LEARNERS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Product:
    """What was trained under a name: a folder, and the component that reads it."""

    component: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Step:
    """A component by name, with what stood after the colon ("" = nothing), or a fusion with its members."""

    name: str
    argument: str = ""
    members: tuple[System, ...] = ()

    def __str__(self) -> str:
        if self.members:
            return f"{self.name}({','.join(member.name for member in self.members)})"
        return f"{self.name}:{self.argument}" if self.argument else self.name


@dataclass(frozen=True, slots=True)
class System:
    """A named row: a first stage that finds passages, then rerankers. `name` is the chain as one writes it."""

    name: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, steps: Iterable[Step]) -> System:
        """The system of these steps, named as one writes it."""
        own = tuple(steps)
        return cls(">".join(map(str, own)), own)

    @property
    def members(self) -> tuple[System, ...]:
        """The systems that the first stage fuses; none where it finds passages itself."""
        return self.steps[0].members

    def every_step(self) -> Iterator[Step]:
        """All steps, those of a fusion's members too; a fusion comes after its members."""
        for step in self.steps:
            for member in step.members:
                yield from member.every_step()
            yield step

    def replaced(self, change: Callable[[Step], Step]) -> System:
        """The system with every step changed, those of a fusion's members too."""
        return System.of(
            change(replace(step, members=tuple(member.replaced(change) for member in step.members)))
            for step in self.steps
        )


def read_system(text: str) -> System:
    """The steps that a text names, whatever their names are.

    Raises:
        UsageError: an empty step or argument, or parentheses that do not match.
    """
    return System.of(_read_step(part.strip(), text) for part in _split(text, ">", text))


def parse_system(text: str, *, known: Mapping[str, str] = NO_LEARNERS) -> System:
    """The system that a text names.

    `known` are further names, of models still to be trained, each with the component that will read it: it can stand
    where that one can.

    Raises:
        UnknownName: a step that is neither in the table nor known.
        UsageError: an empty step, an argument that is missing or not taken, or shapes that do not fit.
    """
    system = read_system(text)
    _check(system, text, known)
    return system


def canonical(system: System) -> str:
    """A name that two systems share where they are the same thing under two names, as `minilm` and `dense:minilm`."""

    def spelled_out(step: Step) -> Step:
        means = RETRIEVERS[step.name].means if step.name in RETRIEVERS else ""
        return _read_step(means, means) if means else step

    return system.replaced(spelled_out).name


def _split(text: str, at: str, whole: str) -> list[str]:
    """The parts of a text between the signs `at` that stand in no parentheses."""
    parts, depth = [""], 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            break
        if sign == at and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    if depth:
        raise UsageError(
            f"the parentheses of {whole!r} do not match", hint="write e.g. 'rrf(bm25,minilm)>bge-reranker'"
        )
    return parts


def _read_step(part: str, text: str) -> Step:
    name, opened, rest = part.partition("(")
    if opened and ":" not in name:
        inner, closed, behind = rest.rpartition(")")
        if behind.strip() or not closed or not name.strip():
            what = f"{behind.strip()!r} follows a closing parenthesis" if behind.strip() else "a fusion has no name"
            raise UsageError(f"in {text!r}, {what}", hint=_EXAMPLE)
        return Step(name.strip(), members=tuple(read_system(member) for member in _split(inner, ",", text)))
    name, colon, argument = (piece.strip() for piece in part.partition(":"))
    if not name or (colon and not argument):
        raise UsageError(f"{text!r} has an empty step or argument", hint="write e.g. bm25 or bm25>dense:FOLDER")
    return Step(name, argument)


def _check(system: System, text: str, trained: Mapping[str, str]) -> None:
    for position, step in enumerate(system.steps):
        _check_step(step, text, trained)
        shapes = RETRIEVERS[trained.get(step.name, step.name)].shapes
        if position and "R->R" not in shapes:
            raise UsageError(
                f"in {text!r}, {step} cannot follow another step: it finds passages itself ({' and '.join(shapes)})",
                hint="a chain is a first stage and then rerankers, e.g. bm25>minilm",
            )
        if not position and shapes == ("R->R",):
            raise UsageError(
                f"in {text!r}, {step} cannot come first: it reorders a run ({' and '.join(shapes)}, not Q->R)",
                hint=f"a chain is a first stage and then rerankers, e.g. bm25>{step}",
            )
        for member in step.members:
            _check(member, text, trained)
        names = [canonical(member) for member in step.members]
        twice = next((member for member, name in zip(step.members, names, strict=True) if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"in {text!r}, {step.name} fuses {twice.name} with itself", hint="name it once")


def _check_step(step: Step, text: str, trained: Mapping[str, str]) -> None:
    name, part = step.name, str(step)
    if name not in trained and name not in RETRIEVERS:
        known = {*RETRIEVERS, *trained}
        hint = f"if it is a sentence-transformers model, write dense:{part}; {nearest(name, known)}"
        raise UnknownName(f"no retriever is called {name!r}", hint=hint if "/" in part else nearest(name, known))
    fuses = name not in trained and "RR->R" in RETRIEVERS[name].shapes
    if fuses and len(step.members) < 2:
        raise UsageError(
            f"{name} fuses two systems or more, but {text!r} gives it {len(step.members)}", hint=_as_written(name)
        )
    if step.members and not fuses:
        fusions = [each for each in RETRIEVERS if "RR->R" in RETRIEVERS[each].shapes]
        raise UsageError(
            f"{name} takes no systems in parentheses, but {text!r} gives it some", hint=f"fusions: {', '.join(fusions)}"
        )
    takes = "" if name in trained else RETRIEVERS[name].argument
    if step.argument and not takes:
        hint = _as_written(name) if fuses else f"write {name}"
        raise UsageError(f"{name} takes no argument, but {part!r} gives one", hint=hint)
    if takes and not step.argument and not RETRIEVERS[name].asks:
        first = "" if "Q->R" in RETRIEVERS[name].shapes else "bm25>"
        raise UsageError(f"{name} needs {takes} after a colon", hint=f"write {first}{name}:NAME")


def _as_written(name: str) -> str:
    return f"write '{name}(bm25,minilm)', quoted, since shells read parentheses"


@dataclass(frozen=True, slots=True)
class Fusion:
    """Systems that each find passages, and the rule by which what they found becomes one run."""

    members: tuple[Chain, ...]
    rule: FusionRule


def asked_of(system: System, generator: str) -> System:
    """The system with the generator's spec wherever a step asks a language model and names none; its name stays."""

    def named(step: Step) -> Step:
        if step.members:
            return replace(step, members=tuple(asked_of(member, generator) for member in step.members))
        return Step(step.name, generator) if asks(step) and not step.argument else step

    return replace(system, steps=tuple(map(named, system.steps)))


def asks(step: Step) -> tuple[Ability, ...]:
    """What a step wants of a language model; nothing where it asks none."""
    return RETRIEVERS[step.name].asks if step.name in RETRIEVERS else ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A built system: a first stage, then rerankers; each step keeps the same number of passages."""

    name: str
    first: Retriever | Fusion
    rerankers: tuple[Reranker, ...]


def build_chain(
    system: System, configs: Mapping[str, Settings], resources: Resources, trained: Mapping[str, Product] = NO_LEARNERS
) -> Chain:
    """The system ready to run; `configs` holds a configuration per component name, defaults where there is none.

    `trained` holds what was trained under a name. Nothing is loaded yet: a model loads when the first view comes.

    Raises:
        UsageError: a fusion's settings do not fit its members.
    """
    built: list[Any] = []
    for step in system.steps:
        if step.members:
            members = tuple(build_chain(member, configs, resources, trained) for member in step.members)
            built.append(Fusion(members, fusion_rule(step, configs)))
            continue
        product = trained.get(step.name)
        component = RETRIEVERS[product.component if product else step.name]
        argument = str(product.folder) if product else step.argument
        made = component.build(argument, configs.get(step.name) or component.config(), resources)
        if product:
            made.name = step.name  # what it tells must not depend on where the product lies
        built.append(made)
    return Chain(system.name, built[0], tuple(built[1:]))


def fusion_rule(step: Step, configs: Mapping[str, Settings]) -> FusionRule:
    """The rule of a fusion, its settings checked against its members.

    Raises:
        UsageError: they do not fit.
    """
    component = RETRIEVERS[step.name]
    rule: FusionRule = component.build("", configs.get(step.name) or component.config(), Resources())
    rule.check(len(step.members))
    return rule
