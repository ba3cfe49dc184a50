"""What a training leaves behind: an ordinary sentence-transformers directory, its report, its curves and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from uae_bench.store import finite
from uae_bench.systems.uae import REPORT

CURVES = "curves.svg"


def write_product(model: SentenceTransformer, report: Mapping[str, Any], encoder: str, out: Path) -> None:
    """Writes the model (safetensors), `training.json`, `curves.svg` and the card `README.md`; no clock, no pickle."""
    model.save(str(out), create_model_card=False)
    told = finite(report)
    (out / REPORT).write_text(json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draw_curves(report, out / CURVES)
    (out / "README.md").write_text(model_card(told, encoder), encoding="utf-8")


def draw_curves(report: Mapping[str, Any], path: Path) -> None:
    """Loss on train and dev of reward model and student, and the student's ExpUtil@1 on dev, over steps."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    reward, student = report["reward_model"], report["student"]
    panels = [
        ("reward model: pairwise margin", _losses(reward)),
        ("student: KL (nats)", _losses(student)),
        ("student: ExpUtil@1 on dev", [("dev", student["dev"], "eval_ExpUtil@1")]),
    ]
    panels = [(title, lines) for title, lines in panels if any(points for _, points, _ in lines)]
    with rc_context({"svg.hashsalt": "uae-bench", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4 * max(1, len(panels)), 3), layout="constrained")
        for number, (title, lines) in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), number, title=title, xlabel="step")
            for label, points, name in lines:
                _draw(axes, label, points, name)
            axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "uae-bench"})


def model_card(report: Mapping[str, Any], encoder: str) -> str:
    """The card in Markdown: teacher, data, licence and every option."""
    data, teacher, student = report["data"], report["teacher"], report["student"]
    licence = data.get("license", "")
    head = ["---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity"]
    head += ["tags: [sentence-transformers, uae-bench, utility-aligned-embeddings]", "---"]
    told = {
        "encoder it started from": encoder,
        "teacher": {
            "reward": "a reward model trained on utilities",
            "utility": "the utilities themselves",
            "one-hot": "hard labels on d⁺",
            "evidence": "hard labels, even over all evidence",
        }[teacher["kind"]],
        "utility": f"{report['utility']}, by {data.get('scorer', 'a scorer that the data do not name')}",
        "data": data.get("task", "not named"),
        "licence of the data": licence or "not stated; find it out before you share this model",
        "λ": teacher["lambda"],
        "mean normalised entropy of the labels": teacher["normalised_entropy"],
        "mass of the labels on d⁺ / further evidence / negatives": _row(teacher["mass"]),
        "mean utility under the labels / of d⁺ / of the whole set": _row(teacher["expected_utility"]),
        "seed": report["seed"],
        "step kept": f"{student['kept']}" + ("" if student["kept"] else " (dev did not improve: the starting encoder)"),
    }
    lines = [f"| {name} | {_cell(value)} |" for name, value in told.items()]
    options = [f"| `{name}` | {_cell(value)} |" for name, value in report["options"].items()]
    gate = [f"| {split} | {_row(counts, ' | ')} |" for split, counts in report["gate"].items()]
    return "\n".join(
        [
            *head, f"# A bi-encoder trained by uae-bench's `{report['trainer']}`", "",
            "Method: Utility-Aligned Embeddings (arXiv 2604.22722).",
            "The model inherits the licences of the encoder and of the data.", "",
            "| | |", "|---|---|", *lines, "",
            "## Gate", "", f"| split | {' | '.join(report['gate']['train'])} |", "|---|---|---|---|---|", *gate, "",
            "## Options", "", "| option | value |", "|---|---|", *options, "",
            f"Curves: `{CURVES}`; everything measured while training: `{REPORT}`.", "",
        ]
    )  # fmt: skip


def _draw(axes: Any, label: str, points: Sequence[Mapping[str, float]], name: str) -> None:
    there = [point for point in points if name in point]
    if there:
        axes.plot([point["step"] for point in there], [point[name] for point in there], marker=".", label=label)


def _losses(history: Mapping[str, Any]) -> list[tuple[str, Sequence[Mapping[str, float]], str]]:
    return [("train", history.get("train", []), "loss"), ("dev", history.get("dev", []), "eval_loss")]


def _row(numbers: Mapping[str, float | None], between: str = " / ") -> str:
    return between.join(_cell(number) for number in numbers.values())


def _cell(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
