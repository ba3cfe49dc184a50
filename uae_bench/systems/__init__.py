"""Rooms of published systems, one folder each; a room never imports another.

`TRAINERS` names what a room can train. Its product is a folder that the retrieval layer loads like any other model.
"""

from __future__ import annotations

from uae_bench.registry import Registry
from uae_bench.systems.trainer import Trainer

TRAINERS: Registry[Trainer] = Registry(
    "trainer",
    {
        "uae": "uae_bench.systems.uae:UAE",
        "uae-direct": "uae_bench.systems.uae:UAE_DIRECT",
        "infonce": "uae_bench.systems.uae:INFONCE",
    },
)
