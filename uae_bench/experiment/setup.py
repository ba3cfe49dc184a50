"""A request met with a task's card: every default resolved and every name checked before anything loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from uae_bench.errors import NotPossible, UsageError
from uae_bench.experiment.request import Request, Setting
from uae_bench.metrics.measure import Measure
from uae_bench.references import REFERENCES, refuse_chained
from uae_bench.registry import nearest
from uae_bench.retrieval.chain import System, parse_system
from uae_bench.systems import TRAINERS
from uae_bench.task.task import Task

Settings = Mapping[str, Mapping[str, Setting]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What holds for every row of one task. `settings` maps a component to the options set for it."""

    split: str
    limit: int | None
    pool: str
    depth: int
    context_size: int
    encoder: str
    scorer: str
    generator: str
    held_out: tuple[str, ...]
    baseline: str
    definition: str
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]
    references: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: Settings

    @property
    def judges(self) -> tuple[str, ...]:
        """The language models that label and write: scorer and generator first, then held-out ones; no repeats."""
        return tuple(dict.fromkeys((self.scorer, self.generator, *self.held_out)))


def by_component(settings: Mapping[str, Setting]) -> dict[str, dict[str, Setting]]:
    """`{"uae.tau": 0.05}` as `{"uae": {"tau": 0.05}}`."""
    tables: dict[str, dict[str, Setting]] = {}
    for key, value in settings.items():
        component, _, option = key.partition(".")
        tables.setdefault(component, {})[option] = value
    return tables


def resolve(request: Request, task: Task) -> Setup:
    """The request with the card's defaults where it says nothing.

    Raises:
        UnknownName: a system or split that does not exist.
        UsageError: a system named twice; a setting of a component that no row uses.
        NotPossible: a model is needed and neither the request nor the card names one.
    """
    card = task.card
    task.split(request.split)
    encoder = request.encoder or card.encoder
    baseline = full_name(request.baseline or card.baseline, encoder)
    names = [full_name(name, encoder) for name in request.retrievers]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"--retriever {twice[0]} is given twice", hint="dense alone means dense:ENCODER")
    names = names if baseline in names else [*names, baseline]
    systems = tuple(parse_system(name, known=TRAINERS) for name in names if name not in REFERENCES)
    settings = by_component(request.settings)
    _refuse_unused(settings, systems, task.name)
    return Setup(
        split=request.split,
        limit=request.limit,
        pool=request.pool or card.pool,
        depth=request.depth or card.depth,
        context_size=request.context_size or card.context_size,
        encoder=encoder,
        scorer=_named("scorer", request.scorer or card.scorer, task),
        generator=_named("generator", request.generator or card.generator, task),
        held_out=(card.held_out if request.held_out is None else request.held_out) if task.has_answers else (),
        baseline=baseline,
        definition=card.definition,
        measures=tuple(Measure.parse(name) for name in request.measures or card.measures),
        systems=systems,
        references=tuple(name for name in names if name in REFERENCES),
        seeds=request.seeds,
        settings=settings,
    )


def full_name(name: str, encoder: str) -> str:
    """A system's name with its encoder said: `bm25>dense` is `bm25>dense:minilm` where that is the encoder."""
    refuse_chained(name)
    steps = [step.strip() for step in name.split(">")]
    return ">".join(f"dense:{encoder}" if step == "dense" else step for step in steps)


def _named(role: str, spec: str | None, task: Task) -> str:
    if spec is None and task.has_answers:
        raise NotPossible(f"the card of {task.name} names no {role}", hint=f"give --{role}, e.g. --{role} lab:lfm2")
    return spec or ""


def _refuse_unused(settings: Settings, systems: Iterable[System], task: str) -> None:
    used = {step.name for system in systems for step in system.steps} | {task, "hard", "training"}
    for component in settings:
        if component not in used:
            option = next(iter(settings[component]))
            raise UsageError(
                f"--set {component}.{option} changes nothing here: no row uses {component}",
                hint=nearest(component, used),
            )
