"""What to run: a request becomes a checked plan, a plan becomes records.

request -> setup (the card's defaults) -> plan (rows and their steps) -> runner (the store) -> results

Each stage has one function, in `retrieving`, `learning` or `judging`, that makes its step: what enters the key, what is
read from other artifacts, what is written. The work itself is `pipeline`'s. A step's `config` holds what a user may
choose, names as they were typed; its `facts` what was found out (digests of task and weights). Where store, data and
output lie, devices and progress are in neither.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from uae_bench.encoder_source import model_of
from uae_bench.errors import DataUnavailable, ModelUnavailable, UsageError
from uae_bench.experiment.bench import Bench
from uae_bench.experiment.imported import Imported
from uae_bench.experiment.models import Models, Precision, require_device
from uae_bench.experiment.offline import on_the_lab, without_models
from uae_bench.experiment.plan import Row, TaskPlan
from uae_bench.experiment.request import Request, request
from uae_bench.experiment.results import Results, read_comparisons, write_row
from uae_bench.experiment.setup import Setup, by_component, reads_encoder, refuse_unread, resolve, trains
from uae_bench.experiment.steps import Runner, Step
from uae_bench.experiment.timing import time_rows
from uae_bench.lm.resources import USUAL, LmResources
from uae_bench.options import checked
from uae_bench.pipeline import read
from uae_bench.progress import SILENT, Progress, working
from uae_bench.result import LatencyRecord
from uae_bench.retrieval.component import Resources
from uae_bench.store import Json, Store, explained
from uae_bench.systems import TRAINERS
from uae_bench.task.card import TaskCard, load_card
from uae_bench.task.task import Task

__all__ = ["Experiment", "PlannedStep", "Request", "Results", "let_go"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What `run` would do about one step, and why.

    `status`: `hit`, `miss`, `torn` (what is stored cannot be used) or `waits` (for an input that is not there).
    """

    task: str
    stage: str
    label: str
    status: str
    why: str
    calls: int | None
    tokens: int | None
    minutes: float | None

    def to_json(self) -> dict[str, Json]:
        """As `plan --json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


class Experiment:
    """A checked request with its tasks read. Nothing is computed before `run`; `preview` computes nothing at all."""

    def __init__(self, asked: Request, plans: tuple[TaskPlan, ...], runner: Runner, models: Models) -> None:
        self.request = asked
        self.plans = plans
        self._runner = runner
        self._models = models

    @classmethod
    def prepare(
        cls,
        fields: Mapping[str, Any],
        *,
        data: Path | None = None,
        train_data: Path | None = None,
        store: Path,
        device: str = "auto",
        lm_resources: LmResources = USUAL,
        progress: Progress = SILENT,
        imports: Sequence[Imported] = (),
        spare: Collection[str] = (),
    ) -> Experiment:
        """Check a request and read its tasks, from `data` and `train_data` where their files lie elsewhere.

        A model that the fields name in a role in `spare` (`encoder`, `scorer`, `generator`), and with `lm` in it how
        models are run, is passed over where no row uses it; without, it is refused.

        Raises:
            UaeBenchError: a name, value, card, file or model that cannot be used; nothing has been computed.
        """
        asked = request(fields)
        require_device(device)
        cards = {name: load_card(name) for name in asked.tasks}
        _refuse_mixed(cards, data, imports)
        place = Store(store, progress=progress)
        precision = checked(Precision, "lm", by_component(asked.settings).get("lm", {}))
        models = Models(replace(lm_resources, device=device), precision)
        look = partial(
            Bench, limit=asked.limit, resources=Resources(device, progress), models=models, calls=place.calls
        )
        try:
            tests = {name: _task(name, card, data, asked, progress) for name, card in cards.items()}
            elsewhere = _training_task(asked, cards, tests, train_data, progress)
        except DataUnavailable as error:
            error.offline = {} if imports else on_the_lab(asked)  # a row made elsewhere fits its own task alone
            raise
        names = [test.name for test in tests.values()]
        plans = []
        for name, test in tests.items():
            training = elsewhere if elsewhere is not None and trains(asked, cards[name]) else test
            setup = resolve(asked, test, training, names, imported=bool(imports), spare=spare)
            learnt = {split.name for split in training.splits.values() if split.use in ("train", "dev")}
            trained_on = look(training, tuple(sorted(learnt, reverse=True)))
            plans.append(TaskPlan(setup, look(test, (setup.split,)), trained_on, imports))
        refuse_unread(lm_resources, {spec for plan in plans for spec in plan.setup.models})
        for plan in plans:
            _require_rows(plan, asked, names)
        return cls(asked, tuple(plans), Runner(place, progress, device), models)

    def preview(self) -> list[PlannedStep]:
        """Each step in the order in which it would run."""
        speeds = self._runner.speeds()
        return [self._planned(plan, step, speeds) for plan in self.plans for step in _ordered(plan)]

    def run(self, out: Path) -> Results:
        """Make what the store lacks, and write a folder per row below `out`.

        Raises:
            UaeBenchError: a stage cannot do its work, or store or `out` cannot be written; what is finished is kept,
                and the rows before the one that failed are written.
        """
        written, comparisons, pairs = [], {}, {}
        with explained(out):
            out.mkdir(parents=True, exist_ok=True)
        with self._models, closing(self._runner.store.calls):
            for plan in self.plans:
                name = plan.test.task.name
                rows, failure = self._made(plan)
                written += [write_row(plan, row, self._runner, out) for row in rows]
                if failure is not None:
                    raise failure
                if plan.comparison is not None:
                    found = read_comparisons(self._runner.make(plan.comparison))
                    comparisons[name], pairs[name] = found["baseline"], found["pairs"]
        return Results(
            records=tuple(record for record, _ in written),
            folders=tuple(folder for _, folder in written),
            comparisons=comparisons,
            pairs=pairs,
            baselines={plan.test.task.name: plan.setup.baseline for plan in self.plans},
            corrections={plan.test.task.name: plan.testing.correction for plan in self.plans},
        )

    def time(self, *, candidates: int | None = None, sample: int, corpus: int | None = None) -> list[LatencyRecord]:
        """Time the rows of each task against one another, over `candidates` passages, by default as many as a system
        keeps. What the store holds of a `run` is not trained again; times are taken anew.

        Raises:
            UaeBenchError: as `run`; or a row is no system.
        """
        with self._models, closing(self._runner.store.calls):
            return [
                time_rows(
                    plan, self._runner, candidates=candidates or plan.setup.test.depth, sample=sample, corpus=corpus
                )
                for plan in self.plans
            ]

    def _made(self, plan: TaskPlan) -> tuple[Sequence[Row], Exception | None]:
        """The rows for which every language model has done its work, and why it is not all of them."""
        rows, failure = plan.rows, None
        for turn in _turns(plan):
            for place in range(len(rows)):
                try:
                    for step in turn[place]:
                        self._runner.make(step)
                except Exception as error:
                    rows, failure = rows[:place], error
                    let_go(error)
                    break
        return rows, failure

    def _planned(self, plan: TaskPlan, step: Step, speeds: Mapping[tuple[str, str], float]) -> PlannedStep:
        status, why, _ = self._runner.find(step)
        cost = step.estimate() if step.estimate and status != "hit" else None
        speed = speeds.get((step.stage, step.work))
        return PlannedStep(
            task=plan.test.task.name,
            stage=step.stage,
            label=step.label,
            status=status,
            why=why,
            calls=cost.calls if cost else None,
            tokens=cost.tokens if cost else None,
            minutes=cost.tokens / speed / 60 if cost and speed else None,
        )


def _require_rows(plan: TaskPlan, asked: Request, tasks: Sequence[str]) -> None:
    """Every name, option and model is checked before the first stage runs."""
    try:
        _ = plan.rows, plan.comparison
    except ModelUnavailable as error:
        error.offline = without_models(asked, plan.setup, tasks, plan.training.task.name)
        if _is_of_the_baseline_alone(error, plan.setup, asked):
            other = plan.setup.systems[0].name
            error.hint = f"{plan.setup.baseline}, the card's baseline, asks for it: --baseline {other} does not"
            error.offline = {**asked.model_dump(exclude_defaults=True), "baseline": other}
        raise


def _is_of_the_baseline_alone(error: ModelUnavailable, setup: Setup, asked: Request) -> bool:
    """Whether what is lacking is the encoder of a baseline that the card adds, and nothing that was typed needs it."""
    learns = any(step.name in TRAINERS for system in setup.chains for step in system.every_step())
    model = model_of(setup.baseline.removeprefix("dense:"))
    typed = [system.name for system in setup.systems if system.name != setup.baseline]
    return (
        not asked.baseline
        and bool(typed)
        and str(error).startswith(f"{model!r} ")
        and not any(model in name for name in typed)
        and not reads_encoder(asked.retrievers, {setup.test.pool}, setup.measures, learns=learns)
    )


def _refuse_mixed(cards: Mapping[str, TaskCard], data: Path | None, imports: Sequence[Imported]) -> None:
    names = [card.name for card in cards.values()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two of the tasks are called {twice}", hint="run them one by one, each with its own --out")
    if data is not None and len(cards) > 1:
        raise UsageError("--data names the files of one task, and there are several", hint="run them one by one")
    if imports and len(cards) > 1:
        raise UsageError(f"{imports[0].name} was made on one task, and there are several", hint="give one --task")


def _training_task(
    asked: Request, cards: Mapping[str, TaskCard], tests: Mapping[str, Task], data: Path | None, progress: Progress
) -> Task | None:
    """The task that is trained on where one is named (one of the tests, if it is named there) and a row is trained."""
    name = asked.train_task
    if data is not None and (name is None or name in tests):
        whose = f"{name} is what is tested" if name else "no --train-task is given"
        raise UsageError(f"--train-data {data} changes nothing here: {whose}", hint="the tested task's files: --data")
    if name is None or not any(trains(asked, card) for card in cards.values()):
        return None
    if name in tests:
        return tests[name]
    card = load_card(name)
    if card.name in [test.name for test in tests.values()]:
        hint = "name the same card in the same words, or give the other one another name"
        raise UsageError(f"--train-task {name} and a tested task are both called {card.name}", hint=hint)
    try:
        return _task(name, card, data, asked, progress)
    except DataUnavailable as error:
        error.hint = error.hint.replace("--data", "--train-data")
        raise


def _task(name: str, card: TaskCard, data: Path | None, asked: Request, progress: Progress) -> Task:
    """A task with the settings that bear its name."""
    with working(progress, f"read {card.name}"):
        return read(name, data=data, overrides=by_component(asked.settings).get(card.name, {}))


def let_go(error: BaseException | None) -> None:
    """Frees what the frames of an error hold, a language model maybe: others work before the error is told."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _turns(plan: TaskPlan) -> list[Sequence[Sequence[Step]]]:
    """What is made before any row is evaluated, each turn row by row: first every run and at once its times, while the
    index is at hand, then what one language model after the other says of all runs, so that each judges all in one go.
    """
    runs = [[row.run] if row.latency is None else [row.run, row.latency] for row in plan.rows]
    said = zip(*([[*judge.steps().values()] for judge in row.judges] for row in plan.rows), strict=True)
    return [runs, *said]


def _ordered(plan: TaskPlan) -> Iterator[Step]:
    """Every step of a plan once, inputs before what needs them."""
    seen: set[Step] = set()

    def visit(step: Step) -> Iterator[Step]:
        if step not in seen:
            seen.add(step)
            for need in step.needs.values():
                yield from visit(need)
            yield step

    for turn in _turns(plan):
        for steps in turn:
            for step in steps:
                yield from visit(step)
    for row in plan.rows:
        yield from visit(row.evaluate)
    if plan.comparison is not None:
        yield from visit(plan.comparison)
