"""How trainings tell what they went through: curves over steps, and values in the tables of model cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CURVES = "curves.svg"

Line = tuple[str, Sequence[Mapping[str, float]], str]
"""A label, points with their `step`, and the name of the value that is drawn."""
Panel = tuple[str, Sequence[Line]]
"""A title and lines."""


def draw_curves(panels: Sequence[Panel], path: Path) -> None:
    """The panels that have any points side by side, as an SVG that is the same for the same points."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn = [(title, lines) for title, lines in panels if any(points for _, points, _ in lines)]
    with rc_context({"svg.hashsalt": "uae-bench", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4 * max(1, len(drawn)), 3), layout="constrained")
        for number, (title, lines) in enumerate(drawn, start=1):
            axes = figure.add_subplot(1, len(drawn), number, title=title, xlabel="step")
            for label, points, name in lines:
                _draw(axes, label, points, name)
            axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "uae-bench"})


def losses(history: Mapping[str, Any]) -> list[Line]:
    """The lines of a training's loss on train and dev."""
    return [("train", history.get("train", []), "loss"), ("dev", history.get("dev", []), "eval_loss")]


def cell(value: object) -> str:
    """A value as a card shows it."""
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(axes: Any, label: str, points: Sequence[Mapping[str, float]], name: str) -> None:
    there = [point for point in points if name in point]
    if there:
        axes.plot([point["step"] for point in there], [point[name] for point in there], marker=".", label=label)
