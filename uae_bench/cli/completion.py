"""The names that a shell offers at Tab; nothing is imported before it asks."""

from __future__ import annotations


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


def stage_names() -> list[str]:
    """Stages of the store."""
    from uae_bench.stages import STAGES

    return [*STAGES]
