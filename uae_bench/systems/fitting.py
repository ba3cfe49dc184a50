"""Running a sentence-transformers trainer: the weights to keep stay in memory, and no file is left behind."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from uae_bench.progress import Progress

Point = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a model is fitted; numbers are those of the options of the same names. `evaluations` is per epoch."""

    batch: int
    epochs: int
    evaluations: int
    learning_rate: float
    warmup: float
    weight_decay: float
    precision: str


@dataclass(slots=True)
class History:
    """What a fit went through: one point per evaluation, the first before any step; `kept` is the step whose weights
    the model has in the end."""

    train: list[Point] = field(default_factory=list)
    dev: list[Point] = field(default_factory=list)
    kept: int = 0


class KeepLast(TrainerCallback):
    """Writes the history and leaves the model as the last step made it."""

    def __init__(self) -> None:
        self.history = History()

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **others: Any) -> None:
        point = {"step": float(state.global_step)}
        point |= {name: float(value) for name, value in metrics.items() if _wanted(name)}
        self.history.dev.append(point)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" in logs:
            self.history.train.append({"step": float(state.global_step), "loss": float(logs["loss"])})

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.history.kept = state.global_step


class KeepBest(KeepLast):
    """Gives back the trainable weights of the best dev value; stops after `patience` evaluations without a better one.

    `start` holds those before the first step.
    """

    def __init__(self, measure: str, *, higher_is_better: bool, patience: int) -> None:
        super().__init__()
        self.measure = measure
        self.sign = 1.0 if higher_is_better else -1.0
        self.patience = patience
        self.best = -float("inf")
        self.start: dict[str, torch.Tensor] = {}
        self._state: dict[str, torch.Tensor] = {}
        self._waited = 0

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **others: Any) -> None:
        super().on_evaluate(args, state, control, metrics, **others)
        value = self.sign * metrics[self.measure]
        if value > self.best:
            self.best, self._waited, self.history.kept = value, 0, state.global_step
            self._state = _trainable(others["model"])
            self.start = self.start or self._state
        else:
            self._waited += 1
            control.should_training_stop = self._waited >= self.patience

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        restore(others["model"], self._state)


class PairedLooks:
    """ExpUtil@1 at one look at dev after another, always the same queries in the same order.

    `gain_error` is the standard error of the mean paired difference to the first look, the untrained start.
    """

    def __init__(self) -> None:
        self._start: NDArray[np.float64] | None = None

    def look(self, utility: NDArray[np.float64]) -> dict[str, float]:
        """`utility` (Q,) is that of the passage which is first for each query."""
        self._start = utility if self._start is None else self._start
        gain = utility - self._start
        error = float(gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else float("inf")
        return {"ExpUtil@1": float(utility.mean()), "gain_error": error}


def settle(model: Any, keep: KeepBest, min_gain: float) -> None:
    """Gives the start's weights back unless the best look's ExpUtil@1 beats its by `min_gain` standard errors."""
    points = {point["step"]: point for point in keep.history.dev}
    start, best = points[0], points[keep.history.kept]
    if not best["eval_ExpUtil@1"] - start["eval_ExpUtil@1"] > min_gain * best["eval_gain_error"]:
        restore(model, keep.start)
        keep.history.kept = 0


class Report(TrainerCallback):
    """Tells a progress about each step."""

    def __init__(self, progress: Progress, label: str) -> None:
        self.progress = progress
        self.label = label
        self._steps: Iterator[int] = iter(())

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._steps = self.progress.track(range(state.max_steps + 1), total=state.max_steps, label=self.label)
        next(self._steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        next(self._steps, None)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for _step in self._steps:
            pass


def fit(
    trainer_class: Any, arguments_class: Any, schedule: Schedule, keep: KeepLast, *,
    model: Any, rows: int, seed: int, progress: Progress, label: str, **parts: Any,
) -> History:  # fmt: skip
    """Trains `model` in place and leaves it with the weights that `keep` chose; `rows` is the training set's size.

    `parts` (datasets, loss, collator, evaluator) go to the trainer as they are. The step size falls linearly to 0.
    """
    steps = -(-rows // schedule.batch)
    every = max(1, steps // schedule.evaluations)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = arguments_class(
            output_dir=scratch, seed=seed, data_seed=seed, report_to="none", save_strategy="no", disable_tqdm=True,
            per_device_train_batch_size=schedule.batch, per_device_eval_batch_size=schedule.batch,
            num_train_epochs=schedule.epochs, learning_rate=schedule.learning_rate, lr_scheduler_type="linear",
            warmup_steps=round(schedule.warmup * steps * schedule.epochs), weight_decay=schedule.weight_decay,
            bf16=schedule.precision == "bfloat16", use_cpu=model.device.type == "cpu",
            logging_steps=every, eval_strategy="steps", eval_steps=every, eval_on_start=True,
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = trainer_class(model=model, args=arguments, callbacks=[keep, Report(progress, label)], **parts)
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
    model.eval()
    return keep.history


def restore(model: Any, state: Mapping[str, torch.Tensor]) -> None:
    """Puts remembered weights back."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in state.items():
            parameters[name].copy_(value)


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries' own chatter off inside: what a user sees is the command line's business."""
    chatter: Any = transformers.utils.logging
    library = logging.getLogger("sentence_transformers")
    levels = chatter.get_verbosity(), library.level
    chatter.disable_progress_bar()
    chatter.set_verbosity_error()
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        chatter.set_verbosity(levels[0])
        library.setLevel(levels[1])


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Every generator seeded and only deterministic kernels inside; all as before outside."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            random.setstate(states[0])
            np.random.set_state(states[1])


def _trainable(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}


def _wanted(metric: str) -> bool:
    return metric.startswith("eval_") and not metric.endswith(("_runtime", "_per_second"))
