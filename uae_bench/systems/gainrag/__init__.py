"""GainRAG (arXiv 2505.18710): a selector that learns by how much a passage lowers an answer's perplexity.

README.md maps equations to functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from uae_bench.records import TrainingSet
from uae_bench.systems.gainrag.config import LAB, GainragOptions, selector_folder
from uae_bench.systems.trainer import Trainer
from uae_bench.weights import identify_below, model_files

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources

REPORT = "training.json"


def _train(
    data: TrainingSet, options: GainragOptions, encoder: str, seed: int, out: Path, resources: Resources
) -> None:
    from uae_bench.systems.gainrag.train import train  # torch is loaded only when something is trained

    train(data, options, seed, out, resources)


def _identity(options: GainragOptions) -> dict[str, str]:
    folder = selector_folder(options.selector)
    return {"selector": identify_below(folder, model_files(folder))}


def _contrasts(options: GainragOptions) -> float:
    return options.alpha


def _remarks(folder: Path) -> tuple[str, ...]:
    kept = json.loads((folder / REPORT).read_text(encoding="utf-8"))["selector"]["kept"]
    return () if kept else ("dev did not improve: this selector is the model that training starts from",)


GAINRAG = Trainer(
    name="gainrag",
    version=2,
    config=GainragOptions,
    defaults=Path(__file__).with_name("config.toml"),
    needs="utilities",
    identity=_identity,
    train=_train,
    remarks=_remarks,
    contrasts=_contrasts,
    component="cross-encoder",
    offline={"selector": LAB},
)
