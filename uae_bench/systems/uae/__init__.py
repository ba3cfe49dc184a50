"""Utility-Aligned Embeddings (arXiv 2604.22722), its ablation `uae-direct` and its fair opponent `infonce`.

Not WhereIsAI/UAE-Large-V1 (AnglE), which shares the abbreviation. README.md maps equations to functions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from uae_bench.records import TrainingSet
from uae_bench.systems.trainer import Trainer
from uae_bench.systems.uae.config import (
    DirectOptions,
    InfonceOptions,
    RewardOptions,
    StudentOptions,
    UaeOptions,
    reward_folder,
)
from uae_bench.weights import identify, model_files

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources

REPORT = "training.json"


def _trainer(name: str, config: type[StudentOptions]) -> Trainer:
    def train(
        data: TrainingSet, options: StudentOptions, encoder: str, seed: int, out: Path, resources: Resources
    ) -> None:
        from uae_bench.systems.uae.train import train as run  # torch is loaded only when something is trained

        run(data, options, encoder, seed, out, resources, name=name)

    def reads(options: StudentOptions) -> str:
        return options.reward_reader if isinstance(options, RewardOptions) else ""

    def identity(options: StudentOptions) -> dict[str, str]:
        if not isinstance(options, RewardOptions) or options.reward_reader:
            return {}
        folder = reward_folder(options.reward_model)
        return {"reward model": identify(path for path in model_files(folder) if path.parent == folder)}

    def remarks(folder: Path) -> tuple[str, ...]:
        kept = json.loads((folder / REPORT).read_text(encoding="utf-8"))["student"]["kept"]
        return () if kept else ("dev did not improve: this row is the encoder that training starts from",)

    defaults = Path(__file__).with_name("config.toml")
    offline = {"reward_model": "lab:lfm2"} if issubclass(config, RewardOptions) else {}
    return Trainer(name, 3, config, defaults, "utilities", identity, train, reads, remarks, offline=offline)


UAE = _trainer("uae", UaeOptions)
UAE_DIRECT = _trainer("uae-direct", DirectOptions)
INFONCE = _trainer("infonce", InfonceOptions)
