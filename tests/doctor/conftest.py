"""Tiny models of true classes, shared or for a test to spoil."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lm.conftest import folder, new_folder

__all__ = ["folder"]


@pytest.fixture
def new_model(tmp_path: Path) -> Callable[..., Path]:
    """`new_model("llama", chat=True)`: a model folder of the test's own."""
    return lambda kind, **given: new_folder(tmp_path / "model", kind, **given)
