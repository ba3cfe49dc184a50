"""Readers by name: one layout of raw files each."""

from __future__ import annotations

from uae_bench.registry import Registry
from uae_bench.task.readers.raw import Reader

READERS: Registry[Reader] = Registry(
    "reader",
    {
        "beir": "uae_bench.task.readers.beir:READER",
        "csv": "uae_bench.task.readers.csv:READER",
        "jsonl": "uae_bench.task.readers.jsonl:READER",
        "lab": "uae_bench.task.readers.lab:READER",
        "newsqa": "uae_bench.task.readers.newsqa:READER",
        "qasper": "uae_bench.task.readers.qasper:READER",
        "squad": "uae_bench.task.readers.squad:READER",
    },
)
