"""What may be published, and what a board keeps of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.leaderboard.parts import digest, sign, write_result
from uae_bench.errors import BadInput, NotPossible
from uae_bench.leaderboard import add_results, check_boards, render_boards
from uae_bench.result import MANIFEST, RECORD, ArtifactRef, read_record

AP = {"AP": [1.0, 0.5, 0.0]}


def evaluated(key: str) -> dict[str, ArtifactRef]:
    return {"evaluate": ArtifactRef(stage="evaluate", key=digest(key), digest=digest("values"))}


def test_the_record_and_what_is_behind_it_are_copied_byte_for_byte(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP, seed=3, artifacts=evaluated("k"))
    boards = tmp_path / "boards"
    (path,) = add_results([folder], boards)
    name = f"bm25-seed3-{digest('k')[:8]}"
    assert path == boards / "records" / "toy" / f"{name}.json"
    assert path.read_bytes() == (folder / RECORD).read_bytes()
    assert (boards / "per_query" / "toy" / f"{name}.parquet").read_bytes() == (folder / "values.parquet").read_bytes()


def test_a_folder_stands_for_all_results_below_it(tmp_path: Path) -> None:
    for system in ("bm25", "random"):
        write_result(tmp_path / "runs" / system / "test", AP, system=system)
    added = add_results([tmp_path / "runs", tmp_path / "runs" / "bm25"], tmp_path / "boards")
    assert [read_record(path).system for path in added] == ["bm25", "random"]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no result"):
        add_results([tmp_path], tmp_path / "boards")


def test_one_partial_result_stops_everything_before_anything_is_written(tmp_path: Path) -> None:
    write_result(tmp_path / "runs" / "a", AP)
    write_result(tmp_path / "runs" / "b", AP, system="random", partial=True)
    with pytest.raises(NotPossible, match="runs/b is partial: it was run with --limit, on 3 queries"):
        add_results([tmp_path / "runs"], tmp_path / "boards")
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize("name", ["values.parquet", "groups.json", "record.json"])
def test_a_folder_that_was_altered_is_refused_by_the_file_that_was(tmp_path: Path, name: str) -> None:
    folder = write_result(tmp_path / "run", AP)
    altered = (folder / name).read_bytes().replace(b"q00", b"q99").replace(b'"toy"', b'"joy"')
    (folder / name).write_bytes(altered)
    with pytest.raises(BadInput, match=f"{name} was altered after the run wrote it"):
        add_results([folder], tmp_path / "boards")


def test_a_run_that_did_not_finish_is_refused(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP)
    (folder / MANIFEST).unlink()
    with pytest.raises(BadInput, match="the run did not finish"):
        add_results([folder], tmp_path / "boards")


def test_a_manifest_may_not_point_outside_its_folder(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"../secret": "0"}))
    with pytest.raises(BadInput, match="outside its folder"):
        add_results([folder], tmp_path / "boards")


def test_another_schema_version_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP)
    (folder / RECORD).write_text((folder / RECORD).read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(BadInput, match="no record of schema 1: schema_version"):
        add_results([folder], tmp_path / "boards")


def test_a_mean_that_the_values_do_not_have_is_refused_even_under_a_fresh_manifest(tmp_path: Path) -> None:
    # (1 + 0.5 + 0) / 3 = 0.5
    folder = write_result(tmp_path / "run", AP)
    (folder / RECORD).write_text((folder / RECORD).read_text().replace('"mean": 0.5', '"mean": 0.75'))
    sign(folder)
    with pytest.raises(BadInput, match=r"the record has 0\.75 for the mean of AP, its per-query values 0\.5"):
        add_results([folder], tmp_path / "boards")


def test_the_same_result_added_twice_is_one(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP)
    assert add_results([folder], tmp_path / "boards") == add_results([folder], tmp_path / "boards")
    render_boards(tmp_path / "boards")
    assert check_boards(tmp_path / "boards") == 1


def test_a_result_made_anew_replaces_the_one_of_its_configuration_and_seed(tmp_path: Path) -> None:
    old = write_result(tmp_path / "old", AP, artifacts=evaluated("old code"))
    other_seed = write_result(tmp_path / "other", AP, seed=1, artifacts=evaluated("seed 1"))
    new = write_result(tmp_path / "new", {"AP": [1.0, 1.0, 1.0]}, artifacts=evaluated("new code"))
    boards = tmp_path / "boards"
    add_results([old, other_seed], boards)
    add_results([new], boards)
    kept = sorted(path.name for path in (boards / "records" / "toy").glob("*.json"))
    assert kept == sorted([f"bm25-seed0-{digest('new code')[:8]}.json", f"bm25-seed1-{digest('seed 1')[:8]}.json"])
    render_boards(boards)
    assert check_boards(boards) == 2


def test_names_from_a_record_never_leave_the_boards(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", AP, system="../../bm25>x|y", task="../up")
    boards = tmp_path / "deep" / "boards"
    (path,) = add_results([folder], boards)
    (page,) = render_boards(boards)
    assert path.resolve().is_relative_to(boards.resolve())
    assert page.resolve().parent == boards.resolve()


def test_a_command_keeps_no_path_of_somebodys_disk(tmp_path: Path) -> None:
    command = "uae-bench run -t toy --data '/home/ada/my data/toy' --out=/tmp/runs/ --set a.b=/x/y --encoder owner/name"
    folder = write_result(tmp_path / "run", AP, measured={"command": command})
    add_results([folder], tmp_path / "boards")
    (page,) = render_boards(tmp_path / "boards")
    shown = "uae-bench run -t toy --data …/toy --out=…/runs --set a.b=…/y --encoder owner/name"
    assert shown in page.read_text()
    assert "ada" not in "".join(path.read_text() for path in (tmp_path / "boards").rglob("*.json"))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("-r 'bm25>minilm'", "-r 'bm25>minilm'"),
        ("--scorer hf:/home/ada/model", "--scorer hf:…/model"),
        ("-r dense:/home/ada/enc/", "-r dense:…/enc"),
        ("-r 'bm25>dense:/home/ada/enc>cross-encoder:/srv/ce@v1'", "-r 'bm25>dense:…/enc>cross-encoder:…/ce@v1'"),
        ("-r 'rrf(dense:/home/ada/a,dense:/srv/b)>bge'", "-r 'rrf(dense:…/a,dense:…/b)>bge'"),
        ("--held-out hf:/home/ada/a,hf:/srv/b", "--held-out hf:…/a,hf:…/b"),
        ("-d/home/ada/data", "-d…/data"),
        ("--set a.b=/home/ada/x,/srv/y", "--set a.b=…/x,…/y"),
        ("--data '/home/ada/a,b/c'", "--data …/c"),
        ("--scorer openai:model@http://host:8000/v1", "--scorer openai:model@http://host:8000/v1"),
        ("--scorer hf:owner/name --data ./here/data", "--scorer hf:owner/name --data ./here/data"),
        ("--name 'my run; $HOME' ''", "--name 'my run; $HOME' ''"),
    ],
)
def test_a_published_command_is_the_command(tmp_path: Path, typed: str, shown: str) -> None:
    folder = write_result(tmp_path / "run", AP, measured={"command": f"uae-bench run {typed}"})
    add_results([folder], tmp_path / "boards")
    (measured,) = (tmp_path / "boards" / "measured" / "toy").iterdir()
    assert json.loads(measured.read_text())["command"] == f"uae-bench run {shown}"


def test_two_results_of_one_row_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for number in (1, 2):
        write_result(tmp_path / "runs" / str(number), AP, artifacts=evaluated(f"k{number}"))
    with pytest.raises(BadInput, match=r"runs/1 and .*runs/2 are results of one row"):
        add_results([tmp_path / "runs"], tmp_path / "boards")
    assert not (tmp_path / "boards").exists()


def test_fewer_measures_do_not_take_the_place_of_more(tmp_path: Path) -> None:
    whole = write_result(tmp_path / "whole", {**AP, "RR": [1.0, 1.0, 0.0]}, artifacts=evaluated("whole"))
    less = write_result(tmp_path / "less", AP, artifacts=evaluated("less"))
    (path,) = add_results([whole], tmp_path / "boards")
    with pytest.raises(BadInput, match="less lacks RR, which the board's result of the same row has"):
        add_results([less], tmp_path / "boards")
    assert path.is_file()


def test_seeds_of_one_row_have_the_same_measures(tmp_path: Path) -> None:
    both = {**AP, "RR": [1.0, 1.0, 0.0]}
    one = write_result(tmp_path / "one", AP, seed=1, artifacts=evaluated("one"))
    none = write_result(tmp_path / "none", AP, artifacts=evaluated("none"))
    whole = [
        write_result(tmp_path / f"whole{seed}", both, seed=seed, artifacts=evaluated(f"whole{seed}")) for seed in (0, 1)
    ]
    boards = tmp_path / "boards"
    message = "whole0 is seed 0 of a row whose seed 1 has other measures: RR is in one only"
    with pytest.raises(BadInput, match=message):
        add_results([whole[0], one], boards)
    assert not boards.exists()
    add_results([none, one], boards)
    with pytest.raises(BadInput, match=message) as caught:
        add_results([whole[0]], boards)
    assert "add them together" in caught.value.hint
    add_results(whole, boards)
    render_boards(boards)
    assert check_boards(boards) == 2
