"""A system is a chain of components, written `bm25>minilm` and checked before anything loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from uae_bench.errors import UnknownName, UsageError
from uae_bench.registry import nearest
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Ability, Reranker, Resources, Retriever, Settings, Shape

_NOTHING: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Step:
    """A component by name, with what stood after the colon ("" = nothing)."""

    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.argument}" if self.argument else self.name


@dataclass(frozen=True, slots=True)
class System:
    """A named row: a first stage that finds passages, then rerankers. `name` is the chain as one writes it."""

    name: str
    steps: tuple[Step, ...]


def parse_system(text: str, *, known: Iterable[str] = ()) -> System:
    """The system that a text names: steps joined by `>`, each `name` or `name:argument`.

    `known` are further names, of bi-encoders still to be trained: like `dense` they can stand in any place.

    Raises:
        UnknownName: a step that is neither in the table nor known.
        UsageError: an empty step, an argument that is missing or not taken, or shapes that do not fit.
    """
    trained = frozenset(known)
    steps = tuple(_parse_step(part.strip(), text, trained) for part in text.split(">"))
    for position, step in enumerate(steps):
        shapes: tuple[Shape, ...] = ("Q->R", "R->R") if step.name in trained else RETRIEVERS[step.name].shapes
        wanted: Shape = "R->R" if position else "Q->R"
        if wanted not in shapes:
            place = "follow another step: it finds passages itself" if position else "come first: it reorders a run"
            raise UsageError(
                f"in {text!r}, {step} cannot {place} ({' and '.join(shapes)}, not {wanted})",
                hint="a chain is a first stage and then rerankers, e.g. bm25>minilm",
            )
    return System(">".join(map(str, steps)), steps)


def _parse_step(part: str, text: str, trained: frozenset[str]) -> Step:
    name, colon, argument = (piece.strip() for piece in part.partition(":"))
    if not name or (colon and not argument):
        raise UsageError(f"{text!r} has an empty step or argument", hint="write e.g. bm25 or bm25>dense:FOLDER")
    if name not in trained and name not in RETRIEVERS:
        known = {*RETRIEVERS, *trained}
        hint = f"if it is a sentence-transformers model, write dense:{part}; {nearest(name, known)}"
        raise UnknownName(f"no retriever is called {name!r}", hint=hint if "/" in part else nearest(name, known))
    takes = "" if name in trained else RETRIEVERS[name].argument
    if argument and not takes:
        raise UsageError(f"{name} takes no argument, but {part!r} gives one", hint=f"write {name}")
    if takes and not argument and not RETRIEVERS[name].asks:
        first = "" if "Q->R" in RETRIEVERS[name].shapes else "bm25>"
        raise UsageError(f"{name} needs {takes} after a colon", hint=f"write {first}{name}:NAME")
    return Step(name, argument)


def asked_of(system: System, generator: str) -> System:
    """The system with the generator's spec wherever a step asks a language model and names none; its name stays."""
    steps = tuple(Step(step.name, generator) if asks(step) and not step.argument else step for step in system.steps)
    return replace(system, steps=steps)


def asks(step: Step) -> tuple[Ability, ...]:
    """What a step wants of a language model; nothing where it asks none."""
    return RETRIEVERS[step.name].asks if step.name in RETRIEVERS else ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A built system: a first stage, then rerankers; each step keeps the same number of passages."""

    name: str
    first: Retriever
    rerankers: tuple[Reranker, ...]


def build_chain(
    system: System, configs: Mapping[str, Settings], resources: Resources, trained: Mapping[str, Path] = _NOTHING
) -> Chain:
    """The system ready to run; `configs` holds a configuration per component name, defaults where there is none.

    `trained` holds the folder of every bi-encoder that was trained under a name. Nothing is loaded yet: a model loads
    when the first view comes.
    """
    built = []
    for step in system.steps:
        component = RETRIEVERS["dense" if step.name in trained else step.name]
        argument = str(trained[step.name]) if step.name in trained else step.argument
        built.append(component.build(argument, configs.get(step.name) or component.config(), resources))
    return Chain(system.name, built[0], tuple(built[1:]))
