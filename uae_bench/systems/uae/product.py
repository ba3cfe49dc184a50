"""What a training leaves behind: an ordinary sentence-transformers directory, its report, its curves and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from uae_bench.store import finite
from uae_bench.systems.telling import CURVES, Panel, cell, draw_curves, losses
from uae_bench.systems.uae import REPORT


def write_product(model: SentenceTransformer, report: Mapping[str, Any], encoder: str, out: Path) -> None:
    """Writes the model (safetensors), `training.json`, `curves.svg` and the card `README.md`; no clock, no pickle."""
    model.save(str(out), create_model_card=False)
    told = finite(report)
    (out / REPORT).write_text(json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draw_curves(_panels(report), out / CURVES)
    (out / "README.md").write_text(model_card(told, encoder), encoding="utf-8")


def _panels(report: Mapping[str, Any]) -> list[Panel]:
    """Loss on train and dev of reward model and student, and the student's ExpUtil@1 on dev."""
    reward, student = report["reward_model"], report["student"]
    return [
        ("reward model: pairwise margin", losses(reward)),
        ("student: KL (nats)", losses(student)),
        ("student: ExpUtil@1 on dev", [("dev", student["dev"], "eval_ExpUtil@1")]),
    ]


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
    lines = [f"| {name} | {cell(value)} |" for name, value in told.items()]
    options = [f"| `{name}` | {cell(value)} |" for name, value in report["options"].items()]
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


def _row(numbers: Mapping[str, float | None], between: str = " / ") -> str:
    return between.join(cell(number) for number in numbers.values())
