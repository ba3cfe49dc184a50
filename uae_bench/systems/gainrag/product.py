"""What a training leaves behind: an ordinary cross-encoder directory, its report, its curves and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentence_transformers import CrossEncoder

from uae_bench.store import finite
from uae_bench.systems.gainrag import REPORT
from uae_bench.systems.telling import CURVES, cell, draw_curves, losses


def write_product(model: CrossEncoder, report: Mapping[str, Any], out: Path) -> None:
    """Writes the model (safetensors), `training.json`, `curves.svg` and the card `README.md`; no clock, no pickle."""
    model.save_pretrained(str(out), create_model_card=False)
    told = finite(report)
    (out / REPORT).write_text(json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    selector = report["selector"]
    panels = [
        ("selector: KL (nats)", losses(selector)),
        ("selector: ExpUtil@1 on dev", [("dev", selector["dev"], "eval_ExpUtil@1")]),
    ]
    draw_curves(panels, out / CURVES)
    (out / "README.md").write_text(model_card(told), encoding="utf-8")


def model_card(report: Mapping[str, Any]) -> str:
    """The card in Markdown: teacher, data, licence and every option."""
    data, teacher, kept = report["data"], report["teacher"], report["selector"]["kept"]
    head = ["---", "library_name: sentence-transformers", "pipeline_tag: text-ranking"]
    head += ["tags: [sentence-transformers, cross-encoder, uae-bench, gainrag]", "---"]
    told = {
        "model it started from": report["options"]["selector"],
        "teacher": "answers' perplexity under contrastive decoding, "
        f"α = {cell(report['options']['alpha'])}, by {data.get('scorer', 'a scorer that the data do not name')}",
        "checkpoint chosen by": f"ExpUtil@1 on dev, {report['utility']}",
        "data": data.get("task", "not named"),
        "licence of the data": data.get("license") or "not stated; find it out before you share this model",
        "queries, train / dev": f"{report['queries']['train']} / {report['queries']['dev']}",
        "mean share of the teacher on the best passage": teacher["share_of_best"],
        "mean normalised entropy of the teacher": teacher["normalised_entropy"],
        "mean perplexity with the best passage": teacher["perplexity_of_best"],
        "seed": report["seed"],
        "step kept": f"{kept}" + ("" if kept else " (dev did not improve: the model it started from)"),
    }
    lines = [f"| {name} | {cell(value)} |" for name, value in told.items()]
    options = [f"| `{name}` | {cell(value)} |" for name, value in report["options"].items()]
    return "\n".join(
        [
            *head, "# A cross-encoder trained by uae-bench's `gainrag`", "",
            "Method: the selector of GainRAG (arXiv 2505.18710).",
            "The model inherits the licences of the model it started from and of the data.", "",
            "| | |", "|---|---|", *lines, "",
            "## Options", "", "| option | value |", "|---|---|", *options, "",
            f"Curves: `{CURVES}`; everything measured while training: `{REPORT}`.", "",
        ]
    )  # fmt: skip
