"""TREC runs: what is written is what trec_eval orders, and what cannot be right is named with its line."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uae_bench.errors import BadInput
from uae_bench.records import Ranking, Run
from uae_bench.runs import read_trec, write_trec

PASSAGES = ("p1", "p2", "p3")
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


def run_of(rankings: Mapping[str, tuple[str, ...]], depth: int = 10, system: str = "bm25") -> Run:
    return Run(system, depth, {query: Ranking(found, (0.5,) * len(found)) for query, found in rankings.items()})


def read(path: Path, text: str, queries: tuple[str, ...] = ("q1",), depth: int = 10, **more: object) -> Run:
    path.write_text(text, encoding="utf-8")
    return read_trec(path, system="theirs", depth=depth, queries=queries, passages=PASSAGES, **more)  # type: ignore[arg-type]


def test_scores_are_depth_minus_rank(tmp_path: Path) -> None:
    # depth 3: rank 1 scores 3 - 1 = 2, rank 2 scores 1, although both really scored 0.5
    write_trec(run_of({"q2": ("p3",), "q1": ("p2", "p1")}, depth=3), tmp_path / "run.txt")
    assert (tmp_path / "run.txt").read_text() == (
        "q1 Q0 p2 1 2 bm25\n"
        "q1 Q0 p1 2 1 bm25\n"
        "q2 Q0 p3 1 2 bm25\n"
    )  # fmt: skip


def test_white_space_in_ids_is_escaped_as_in_a_url(tmp_path: Path) -> None:
    write_trec(run_of({"a b": ("50%\n",)}, depth=1, system="dense:x y"), tmp_path / "run.txt")
    assert (tmp_path / "run.txt").read_text() == "a%20b Q0 50%25%0A 1 0 dense:x%20y\n"


def test_an_empty_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a passage id is empty"):
        write_trec(run_of({"q1": ("",)}), tmp_path / "run.txt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.dictionaries(ids, st.lists(ids, min_size=1, max_size=4, unique=True).map(tuple), max_size=4))
def test_what_is_written_is_read_back(tmp_path: Path, rankings: dict[str, tuple[str, ...]]) -> None:
    run = run_of(rankings)
    write_trec(run, tmp_path / "run.txt")
    passages = {passage for found in rankings.values() for passage in found}
    again = read_trec(tmp_path / "run.txt", system="x", depth=10, queries=run.rankings, passages=passages)
    assert {query: ranking.passages for query, ranking in again.rankings.items()} == rankings


def test_score_then_id_orders_whatever_rank_and_line_say(tmp_path: Path) -> None:
    text = "q1 Q0 p3 1 0.5 t\nq1 Q0 p2 2 0.5 t\n\nq1\tQ0\tp1\t9\t1e1\tt\n"
    assert read(tmp_path / "run.txt", text).rankings == {"q1": Ranking(("p1", "p2", "p3"), (10.0, 0.5, 0.5))}
    assert read(tmp_path / "run.txt", text, depth=1).rankings == {"q1": Ranking(("p1",), (10.0,))}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("q1 Q0 p1 1 2.0\n", "line 1 has 5 fields"),
        ("q1 Q0 p1 1 2.0 t\nq1 Q0 p1 2 1.0 t\n", "line 2: 'p1' is ranked for 'q1' already in line 1"),
        ("q1 Q0 p1 1 2.0 t\nq9 Q0 p1 1 2.0 t\n", "line 2: no query has the id 'q9'"),
        ("q1 Q0 p9 1 2.0 t\n", "line 1: no passage has the id 'p9'"),
        ("q1 Q0 p1 1 nan t\n", "line 1: the score 'nan' is no finite number"),
        ("q1 Q0 p1 1 high t\n", "line 1: the score 'high' is no finite number"),
        ("", "answers 0 of 1 queries; 'q1' is missing"),
    ],
)
def test_what_cannot_be_right_is_named_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        read(tmp_path / "run.txt", text)
    assert caught.value.hint


def test_a_missing_query_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="answers 1 of 2 queries; 'q2' is missing"):
        read(tmp_path / "run.txt", "q1 Q0 p1 1 2.0 t\n", queries=("q1", "q2"))


def test_a_passage_outside_the_pool_is_refused(tmp_path: Path) -> None:
    pools = {"q1": ("p1", "p2")}
    with pytest.raises(BadInput, match="line 2: 'p3' is not in the pool of query 'q1'"):
        read(tmp_path / "run.txt", "q1 Q0 p1 1 2 t\nq1 Q0 p3 2 1 t\n", pools=pools)


def test_queries_of_other_splits_are_passed_over(tmp_path: Path) -> None:
    text = "q1 Q0 p1 1 2.0 t\nq7 Q0 p1 1 2.0 t\n"
    assert list(read(tmp_path / "run.txt", text, ignored=("q7",)).rankings) == ["q1"]


def test_an_id_with_a_percent_sign_is_taken_as_it_stands_where_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("q%201 Q0 p%201 1 2 t\n")
    run = read_trec(tmp_path / "run.txt", system="x", depth=1, queries=["q%201"], passages=["p 1"])
    assert run.rankings == {"q%201": Ranking(("p 1",), (2.0,))}


def test_gzipped_runs_are_read_and_torn_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "run.txt.gz"
    whole = gzip.compress(b"q1 Q0 p1 1 2.0 t\n")
    path.write_bytes(whole)
    assert read_trec(path, system="x", depth=1, queries=["q1"], passages=PASSAGES).rankings["q1"].passages == ("p1",)
    path.write_bytes(whole[:-6])
    with pytest.raises(BadInput, match="cannot read the run"):
        read_trec(path, system="x", depth=1, queries=["q1"], passages=PASSAGES)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_an_unreadable_run_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.txt").write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot read the run .*run\.txt"):
        read_trec(tmp_path / "run.txt", system="x", depth=1, queries=["q1"], passages=PASSAGES)


def test_a_line_of_a_long_run_does_not_look_through_all_queries_and_passages(tmp_path: Path) -> None:
    """What is asked of every line is asked of sets; a search through a tuple would make a long run quadratic."""

    class Unsearched(tuple[str, ...]):
        def __contains__(self, item: object) -> bool:
            raise AssertionError("a line looks through all of them")

    (tmp_path / "run.txt").write_text("q1 Q0 p1 1 2 t\nq2 Q0 p1 1 2 t\n")
    queries, passages = Unsearched(("q1", "q2")), Unsearched(("p1", "p2"))
    run = read_trec(tmp_path / "run.txt", system="x", depth=1, queries=queries, passages=passages)
    assert set(run.rankings) == {"q1", "q2"}
