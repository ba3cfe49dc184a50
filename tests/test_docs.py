"""The examples of docs/adding.md, installed as they stand there as another package, really run; and lines that fit."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.parts import save_tiny_encoder

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w./]+)`:\n\n```\w*\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip leaves it: the files of `mylab`, and its entry points as its pyproject.toml has them."""
    site = tmp_path_factory.mktemp("site")
    (site / "mylab").mkdir()
    (site / "mylab" / "__init__.py").touch()
    for name, content in FILES.items():
        (site / name).write_text(content, encoding="utf-8")
    block = next(block for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL) if "[project]" in block)
    about = tomllib.loads(block)["project"]
    info = site / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    groups = about["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in table.items()) for group, table in groups]
    (info / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")
    return site


def typed(command: str, site: Path, folder: Path) -> str:
    """What a command of the page prints, with `mylab` installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT))), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", *shlex.split(command.replace("uae-bench", "uae_bench", 1))]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_no_line_of_prose_is_longer_than_the_code_s(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_the_page_shows_one_of_each_kind_that_a_package_can_add() -> None:
    kinds = re.findall(r'entry-points\."uae_bench\.(\w+)"', TEXT)
    assert sorted(kinds) == ["lms", "measures", "readers", "retrievers", "tasks", "trainers"]


def test_a_package_s_task_is_run_with_its_reader_measure_retriever_trainer_and_model(
    package: Path, tmp_path: Path
) -> None:
    encoder = save_tiny_encoder(tmp_path / "encoder", ("the", "beds", "paths", "garden", "roses", "wall"))
    command = next(line for line in COMMANDS if " run " in line)
    content: dict[str, Any] = json.loads(typed(command.replace("minilm", str(encoder)) + " --json", package, tmp_path))
    records = {record["system"]: record for record in content["records"]}
    assert records.keys() == {"mylab/overlap", "mylab/whiten"}
    means = {found["measure"]: found["mean"] for found in records["mylab/overlap"]["measures"]}
    # both queries share two words with the passage that answers them, and one, "the", with the others
    assert means["Success@1"] == 1.0
    assert means["mylab/Words@1"] == (9 + 6) / 2
    # "two" among the 16 words of its prompt, "volunteers" among 17, "gravel" among 13; without the passage 1e-5 each
    two, volunteers, gravel = (math.log((0.5 / words + 1e-5) / 1e-5) for words in (16, 17, 13))
    assert means["ExpUtil@1"] == pytest.approx(((two + volunteers) / 2 + gravel) / 2)
    trained = records["mylab/whiten"]
    assert trained["settings"]["mylab/whiten"] == {"floor": 0.001}
    assert trained["models"]["scorer and generator"]["family"] == "mylab-copier"
    assert len(list((tmp_path / "runs" / "garden").rglob("model/*/model.safetensors"))) == 1


def test_data_of_ones_own_becomes_a_task_that_works_at_once(package: Path, tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text(FILES["faq.csv"], encoding="utf-8")
    new, check = (line for line in COMMANDS if " task " in line)
    assert "tasks/faq.toml" in typed(new, package, tmp_path)
    assert "4 documents" in typed(check, package, tmp_path)
