"""The names that a shell offers at Tab; nothing is imported before it asks."""

from __future__ import annotations

from typing import get_args

SHARED = ("hard", "training", "lm", "significance")
"""Groups of options that belong to no single retriever or trainer."""


def task_names() -> list[str]:
    """Every card by name."""
    from uae_bench.task.card import card_names

    return [*card_names()]


def system_names() -> list[str]:
    """Trained systems, retrievers and references."""
    from uae_bench.references import REFERENCES
    from uae_bench.retrieval import RETRIEVERS
    from uae_bench.systems import TRAINERS

    return [*TRAINERS, *RETRIEVERS, *REFERENCES]


def measure_names() -> list[str]:
    """Families of measures, without their cutoffs."""
    from uae_bench.metrics import MEASURES

    return [*MEASURES]


def pool_kinds() -> list[str]:
    """Which passages a query may retrieve."""
    from uae_bench.task.card import PoolKind

    return [*get_args(PoolKind)]


def model_specs() -> list[str]:
    """The lab's language models, and the backends whose models have names of their own."""
    from uae_bench.lab.families import LAB_FAMILIES
    from uae_bench.lm import LMS

    return [*(f"lab:{name}" for name in LAB_FAMILIES), *(f"{backend}:" for backend in LMS if backend != "lab")]


def encoder_names() -> list[str]:
    """The lab's encoder and those with short names."""
    from uae_bench.encoder_source import PRESETS

    return ["lab:encoder", *PRESETS]


def shown_names() -> list[str]:
    """Whatever `show` knows."""
    return [*system_names(), *measure_names(), *task_names(), *model_specs(), *SHARED]


def stage_names() -> list[str]:
    """Stages of the store."""
    from uae_bench.stages import STAGES

    return [*STAGES]
