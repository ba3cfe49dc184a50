"""Makes docs/figures/lab.svg: where on the lab utility-aligned training helps, and where it does not.

    python docs/figures/lab.py            # all of it, from the store where it can

Three panels, all on design worlds (never the leaderboard's): Success@1 over the knob `difficulty`, over annotation
completeness, and the control in which utilities are permuted before training, with reward model and student kept only
where they are clearly better on dev, and where they are better at all (`min_gain` 0).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import uae_bench

HERE = Path(__file__).parent
DIFFICULTIES = (0.0, 0.25, 0.5, 0.75, 1.0)
COMPLETENESS = (1.0, 0.7, 0.4)
STYLE = {
    "dense": ("#8a8a8a", "o", -0.06),
    "bm25": ("#5b8c5a", "^", 0.0),
    "infonce": ("#c2661a", "s", 0.0),
    "uae": ("#1f6fb2", "D", 0.06),
}
"""Colour, marker, and a shift to the side, so that equal values do not hide each other."""


Points = dict[str, list[float]]


def measured(world: int, knobs: Mapping[str, float], retrievers: tuple[str, ...], **settings: float) -> Points:
    """Success@1 with its interval, [mean, low, high], per system on one world."""
    options = {f"lab.{knob}": value for knob, value in knobs.items()} | {"lab.seed": world}
    options |= {name.replace("__", "."): value for name, value in settings.items()}
    results = uae_bench.run(task="lab", retrievers=retrievers, measures=("Success@1",), settings=options)
    found = {}
    for record in results.records:
        row = record.measure("Success@1")
        if row is None or row.mean is None or row.low is None or row.high is None:
            raise SystemExit(f"{record.system} has no Success@1 with an interval")
        found[record.system.split(":")[0]] = [row.mean, row.low, row.high]
    return found


def collect(world: int) -> dict[str, dict[str, Points]]:
    """Every point of the three panels."""
    rows = ("dense", "infonce", "uae")
    return {
        "difficulty": {str(value): measured(world, {"difficulty": value}, (*rows, "bm25")) for value in DIFFICULTIES},
        "annotation completeness": {
            str(value): measured(world, {"annotation_completeness": value}, rows) for value in COMPLETENESS
        },
        "control": {
            "utilities as labelled": measured(world, {}, ("dense", "uae")),
            "utilities permuted": measured(world, {}, ("dense", "uae"), training__permute_utilities=True),
            "permuted, min_gain 0": measured(
                world, {}, ("dense", "uae"), training__permute_utilities=True, uae__min_gain=0.0
            ),
        },
    }


def draw(points: Mapping[str, Mapping[str, Points]], path: Path) -> None:
    """The three panels as one SVG."""
    plt.rcParams.update({"font.size": 9, "svg.hashsalt": "lab", "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, width_ratios=(5, 3, 3.4))
    for panel, (name, columns) in zip(panels, points.items(), strict=True):
        labels = list(columns)
        for system, (colour, marker, shift) in STYLE.items():
            places = [place for place, label in enumerate(labels) if system in columns[label]]
            rows = [columns[labels[place]][system] for place in places]
            if not rows:
                continue
            means = [row[0] for row in rows]
            bars = [[row[0] - row[1] for row in rows], [row[2] - row[0] for row in rows]]
            line = "none" if name == "control" else "-"
            panel.errorbar(
                [place + shift for place in places],
                means,
                bars,
                color=colour,
                marker=marker,
                linestyle=line,
                capsize=3,
                label=system,
                lw=1.4,
                ms=5,
            )
        panel.set_xticks(range(len(labels)), labels)
        panel.set_xlabel(name)
        panel.set_ylim(0, 1)
        panel.grid(axis="y", color="#e4e4e4", lw=0.6)
    panels[2].set_xticks(range(3), ["as\nlabelled", "permuted", "permuted,\nmin_gain 0"], fontsize=8)
    panels[2].set_xlabel("control: the utilities")
    panels[2].margins(x=0.25)
    panels[0].set_ylabel("Success@1 (evidence)")
    panels[0].legend(frameon=False, loc="upper right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Compute what is missing, then write lab.json and lab.svg."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=0, help="seed of a design world, 0 to 9")
    world = parser.parse_args().world
    if world not in range(10):
        raise SystemExit("design worlds are 0 to 9")
    points = collect(world)
    (HERE / "lab.json").write_text(json.dumps({"world": world, "points": points}, indent=1) + "\n")
    draw(points, HERE / "lab.svg")


if __name__ == "__main__":
    main()
