"""Rooms of published systems, one folder each; a room never imports another.

`TRAINERS` names what a room can train. Its product is a folder that the retrieval layer loads like any other model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from uae_bench.registry import Registry
from uae_bench.systems.trainer import Trainer

TRAINERS: Registry[Trainer] = Registry(
    "trainer",
    {
        "uae": "uae_bench.systems.uae:UAE",
        "uae-direct": "uae_bench.systems.uae:UAE_DIRECT",
        "infonce": "uae_bench.systems.uae:INFONCE",
        "gainrag": "uae_bench.systems.gainrag:GAINRAG",
    },
)


class _Products(Mapping[str, str]):
    def __getitem__(self, name: str) -> str:
        if name not in TRAINERS:
            raise KeyError(name)
        return TRAINERS[name].component

    def __iter__(self) -> Iterator[str]:
        return iter(TRAINERS)

    def __len__(self) -> int:
        return sum(1 for _ in TRAINERS)


PRODUCTS: Mapping[str, str] = _Products()
"""The component that reads what each trainer makes; a trainer is imported when it is asked for."""
