"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.pop("COLUMNS", None)  # a test asks for its width; parallel workers are given one
settings.register_profile("patient", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("patient")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data named by UAE_BENCH_TEST_DATA; its absence skips aloud, and fails under CI=true."""
    named = os.environ.get("UAE_BENCH_TEST_DATA", "")
    folder = Path(named)
    if named and folder.is_dir():
        return folder
    reason = f"UAE_BENCH_TEST_DATA={named!r} names no folder of real data; this test needs one"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
