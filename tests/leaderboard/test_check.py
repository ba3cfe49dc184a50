"""Whatever is changed by hand on a board is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.leaderboard.parts import write_result
from uae_bench import runs
from uae_bench.cli.commands import app
from uae_bench.errors import BadInput, CheckFailed
from uae_bench.leaderboard import add_results, check_boards, render_boards
from uae_bench.records import Value
from uae_bench.result import read_record, to_json


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results, folder = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("boards")
    write_result(results / "one", {"AP": [1.0, 0.5, 0.0]}, system="one")
    write_result(results / "two", {"AP": [0.0, 0.5, 0.0]}, system="two")
    add_results([results], folder)
    render_boards(folder)
    (folder / "README.md").write_text("written by hand")
    return folder


@pytest.fixture
def boards(untouched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(untouched, tmp_path / "boards")


def only(boards: Path, pattern: str) -> Path:
    return sorted(boards.glob(pattern))[0]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_values(boards: Path) -> None:
    runs.write_values(
        [Value(f"q0{index}", "AP", 1.0) for index in range(3)], only(boards, "per_query/toy/one*.parquet")
    )


OTHERWISE: dict[str, Any] = {
    "kind": "imported",
    "models": {"scorer": {"spec": "lab:neox", "identity": {}, "family": ""}},
    "notes": ["nothing was dropped"],
    "settings": {"bm25": {"k1": 9}},
    "task_digest": "0" * 64,
}
"""What no values say: with the page rendered anew, only the record's own digest tells."""


def change_record(key: str, value: Any, boards: Path) -> None:
    path = only(boards, "records/toy/one*.json")
    path.write_text(to_json(read_record(path).model_copy(update={key: value})), encoding="utf-8")
    render_boards(boards)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other values": (other_values, "is not the file that records/toy/one-seed0-"),
    "a missing file of values": (lambda b: only(b, "per_query/toy/one*.parquet").unlink(), "is missing"),
    "other documents": (
        lambda b: edit(only(b, "per_query/toy/groups*.json"), "document q00", "document q01"),
        "is not the file that",
    ),
    "a mean": (
        lambda b: edit(only(b, "records/toy/one*.json"), '"mean": 0.5', '"mean": 0.6'),
        r"the record has 0\.6 for the mean of AP, its per-query values 0\.5",
    ),
    "a count": (lambda b: edit(only(b, "records/toy/one*.json"), '"n": 3', '"n": 4'), "for n of AP"),
    "a count of the missing": (
        lambda b: edit(only(b, "records/toy/one*.json"), '"missing": 0', '"missing": 1'),
        "the record has 1 for the missing of AP, its per-query values 0",
    ),
    "an interval": (
        lambda b: edit(only(b, "records/toy/one*.json"), '"high": 1.0', '"high": 0.9'),
        "the interval of AP",
    ),
    "a partial record": (
        lambda b: edit(only(b, "records/toy/one*.json"), '"partial": false', '"partial": true'),
        "is partial: it is of 3 queries",
    ),
    **{
        f"{key} of a record": (partial(change_record, key, value), r"one-seed0-.*json is not what one.*\.sha256 says")
        for key, value in OTHERWISE.items()
    },
    "a missing digest": (lambda b: only(b, "records/toy/one*.sha256").unlink(), r"sha256 is missing"),
    "a digest without a record": (
        lambda b: (b / "records" / "toy" / "more.sha256").write_text(""),
        "belongs to no record",
    ),
    "the layout of a record": (
        lambda b: edit(only(b, "records/toy/one*.json"), '"depth": 10', '"depth":  10'),
        "not in canonical form",
    ),
    "a torn record": (lambda b: only(b, "records/toy/one*.json").write_text("{"), "not a whole JSON file"),
    "a renamed record": (
        lambda b: only(b, "records/toy/one*.json").rename(b / "records" / "toy" / "best.json"),
        "holds the record of records/toy/one-seed0-",
    ),
    "torn measurements": (lambda b: only(b, "measured/toy/one*.json").write_text(""), "not a whole JSON file"),
    "a figure on the page": (lambda b: edit(b / "toy.md", "0.500", "0.900"), r"toy\.md, line \d+, differs"),
    "a page that is cut": (lambda b: (b / "toy.md").write_text("# toy"), "line 2, differs .*: nothing, now ''"),
    "a missing page": (lambda b: (b / "toy.md").unlink(), "cannot read"),
    "a page without records": (lambda b: (b / "more.md").write_text(""), "the page of no record"),
    "values without a record": (
        lambda b: (b / "per_query" / "toy" / "more.parquet").write_text(""),
        "belongs to no record",
    ),
}


def test_boards_that_were_left_alone_pass_and_their_records_are_counted(boards: Path) -> None:
    assert check_boards(boards) == 2


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found_and_named(boards: Path, change: str) -> None:
    alter, message = CHANGES[change]
    alter(boards)
    with pytest.raises(CheckFailed, match=message):
        check_boards(boards)


def test_no_boards_are_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        check_boards(tmp_path / "leaderboards")


def test_the_command_exits_3_and_says_what_differs(boards: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["leaderboard", "check", "--boards", str(boards)]).exit_code == 0
    other_values(boards)
    found = runner.invoke(app, ["leaderboard", "check", "--boards", str(boards)])
    assert found.exit_code == 3
    assert "Traceback" not in found.output


def test_what_is_published_here_agrees_with_this_code() -> None:
    """A record that older code wrote is still canonical, and the pages are those that this code would make."""
    assert check_boards(Path(__file__).parents[2] / "leaderboards") > 0
