"""Utility-Aligned Embeddings (arXiv 2604.22722), its ablation `uae-direct` and its fair opponent `infonce`.

Not WhereIsAI/UAE-Large-V1 (AnglE), which shares the abbreviation. README.md maps equations to functions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from uae_bench.records import TrainingSet
from uae_bench.systems.trainer import Trainer
from uae_bench.systems.uae.config import Teacher, UaeConfig

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources


def _reward_models(options: UaeConfig) -> tuple[str, ...]:
    return () if options.reward_model == "encoder" else (options.reward_model,)


def _no_models(options: UaeConfig) -> tuple[str, ...]:
    return ()


def _trainer(name: str, teacher: Teacher, models: Callable[[UaeConfig], tuple[str, ...]]) -> Trainer:
    def train(
        data: TrainingSet, options: UaeConfig, encoder: str, seed: int, out: Path, resources: Resources
    ) -> None:
        from uae_bench.systems.uae.train import train as run  # torch is loaded only when something is trained

        run(data, options, encoder, seed, out, resources, name=name, teacher=teacher)

    defaults = Path(__file__).with_name("config.toml")
    return Trainer(name, 1, UaeConfig, defaults, "utilities", models, train)


UAE = _trainer("uae", "reward", _reward_models)
UAE_DIRECT = _trainer("uae-direct", "utility", _no_models)
INFONCE = _trainer("infonce", "one-hot", _reward_models)
