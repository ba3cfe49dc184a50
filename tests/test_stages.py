"""No stage's code changes without a decision about its version, and no stage rests on code that it does not name."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from uae_bench import stages
from uae_bench.errors import CheckFailed
from uae_bench.stages import PLUMBING, Stage, accept, code_digest, code_of, problems
from uae_bench.task.task import Task

SMALL = {"count": Stage(1, ("uae_bench.counting",))}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source tree of one stage with a locked decision."""
    package = tmp_path / "uae_bench"
    package.mkdir()
    (package / "records.py").write_text("class Run: ...\n")
    (package / "counting.py").write_text("def count(x):\n    return len(x)\n\ndef other():\n    return 1\n")
    for name in PLUMBING:
        file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.touch()
    accept(SMALL, tmp_path / "stages.lock", tmp_path)
    return tmp_path


def test_the_lock_fits_the_code() -> None:
    undecided = problems()
    assert not undecided, "\n".join([*undecided, stages._ACCEPT])


def test_comments_docstrings_and_layout_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n# why\ndef f(\n    x,\n):\n    """Adds."""\n    return (x + 1)  # one\n'
    assert code_digest(plain) == code_digest(dressed)


@pytest.mark.parametrize(
    "changed",
    ["def f(x):\n    return x + 2\n", "def f(x):\n    return x - 1\n", "def f(x, y=0):\n    return x + 1\n", "f = 1\n"],
)
def test_what_the_code_does_counts(changed: str) -> None:
    assert code_digest("def f(x):\n    return x + 1\n") != code_digest(changed)


def test_a_change_without_a_decision_is_named(source: Path) -> None:
    assert problems(SMALL, source / "stages.lock", source) == []
    (source / "uae_bench" / "counting.py").write_text("def count(x):\n    return len(x) + 1\n")
    changed = "stage count (version 1, locked 1): uae_bench.counting changed"
    assert problems(SMALL, source / "stages.lock", source) == [changed]
    accept(SMALL, source / "stages.lock", source)
    assert problems(SMALL, source / "stages.lock", source) == []


def test_a_version_raised_without_accepting_is_named(source: Path) -> None:
    raised = {"count": Stage(2, SMALL["count"].modules)}
    assert problems(raised, source / "stages.lock", source) == ["stage count has version 2, the lock 1"]
    accept(raised, source / "stages.lock", source)
    assert json.loads((source / "stages.lock").read_text())["count"]["version"] == 2


def test_a_stage_added_or_dropped_is_named(source: Path) -> None:
    added = {**SMALL, "sum": Stage(1, ("uae_bench.counting",))}
    assert [line.split(":")[0] for line in problems(added, source / "stages.lock", source)] == [
        "stage sum (version 1, locked 0)"
    ]
    assert problems({}, source / "stages.lock", source) == ["stage count is in the lock but not in the table"]


def test_a_stage_may_rest_on_one_function(source: Path) -> None:
    before = code_of(Stage(1, ("uae_bench.counting:count",)), source)
    text = (source / "uae_bench" / "counting.py").read_text()
    (source / "uae_bench" / "counting.py").write_text(text.replace("return 1", "return 2"))
    assert code_of(Stage(1, ("uae_bench.counting:count",)), source) == before
    assert set(before) == {"uae_bench.counting:count", "uae_bench.records"}


def test_a_stage_may_rest_on_one_method(source: Path) -> None:
    text = "class Counter:\n    def count(self):\n        return 1\n\n    def other(self):\n        return 1\n"
    (source / "uae_bench" / "counting.py").write_text(text)
    rests = Stage(1, ("uae_bench.counting:Counter.count",))
    before = code_of(rests, source)
    (source / "uae_bench" / "counting.py").write_text(text.replace("return 1", "return 2", 2).replace("2", "1", 1))
    assert code_of(rests, source) == before
    (source / "uae_bench" / "counting.py").write_text(text.replace("return 1", "return 2", 1))
    assert code_of(rests, source) != before


@pytest.mark.parametrize("name", stages.STAGES)
def test_a_stage_rests_on_what_it_asks_of_a_task(name: str) -> None:
    methods = {method for method in vars(Task) if not method.startswith("_")} - {each.name for each in fields(Task)}
    stage = stages.STAGES[name]
    code = "".join(
        stages._only(path.read_text(), function, part)
        for part in stage.modules
        for module, _, function in [part.partition(":")]
        for _, path in stages._files(module, stages.SOURCE)
    )
    asked = {method for method in re.findall(r"\btask\.(\w+)", code) if method in methods}
    named = {part.partition(":Task.")[2] for part in stage.modules if part.startswith("uae_bench.task.task:Task.")}
    assert asked <= named


def test_an_import_that_the_table_does_not_name_is_found(source: Path) -> None:
    (source / "uae_bench" / "hidden.py").touch()
    (source / "uae_bench" / "counting.py").write_text(
        "from typing import TYPE_CHECKING\nfrom uae_bench.errors import X\n"
        "if TYPE_CHECKING:\n    from uae_bench.store import Y\n"
        "def count():\n    from uae_bench import hidden\n    from uae_bench.hidden import z\n"
    )
    accept(SMALL, source / "stages.lock", source)
    found = "stage count imports uae_bench.hidden, which its line does not name"
    assert problems(SMALL, source / "stages.lock", source) == [found]


@pytest.mark.parametrize("name", ["uae_bench.nowhere", "uae_bench.counting:nothing", "uae_bench.counting:A.b"])
def test_a_table_that_names_nothing_is_refused(source: Path, name: str) -> None:
    with pytest.raises(CheckFailed, match=name):
        code_of(Stage(1, (name,)), source)


def test_the_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stages, "problems", lambda: ["stage read changed"])
    with pytest.raises(SystemExit, match=r"stage read changed\nraise the stage's version .* --accept"):
        stages.main([])
    with pytest.raises(SystemExit, match="usage"):
        stages.main(["--force"])
