"""Files of runs, values, utilities and generations: nothing is lost, equal content is equal bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uae_bench.errors import BadInput
from uae_bench.records import GenerationRecord, Likelihood, Ranking, Run, UtilityRow, Value
from uae_bench.runs import (
    read_generations,
    read_run,
    read_utilities,
    read_values,
    values_digest,
    write_generations,
    write_run,
    write_utilities,
    write_values,
)

RUN = Run("bm25", 5, {"q2": Ranking((), ()), "q1": Ranking(("p2", "a b"), (1.0 + 1e-12, 1.0))})
VALUES = [
    Value("q2", "AP", math.nan, "nothing is relevant"),
    Value("q1", "AP", 0.25),
    Value("q1", "nDCG@10", 1 / 3),
]
UTILITIES = [
    UtilityRow("q1", "p2", 1, Likelihood(-3.25, 4), Likelihood(-7.5, 4), 11),
    UtilityRow("q1", "p1", 0, Likelihood(-0.1, 2), Likelihood(-0.2, 2), 3),
]
GENERATIONS = [
    GenerationRecord("q2", "", (), 7, 0, 0, "stop"),
    GenerationRecord("q1", "line\u2028one\nline two é", ("p2", "p1"), 120, 6, 3, "length"),
]


def test_a_run_keeps_its_real_scores_and_its_empty_rankings(tmp_path: Path) -> None:
    write_run(RUN, tmp_path / "run.parquet")
    assert read_run(tmp_path / "run.parquet") == RUN
    scores = read_run(tmp_path / "run.parquet").rankings["q1"].scores
    assert scores[0] > scores[1]  # 1e-12 apart: float32, or a TREC run of the scores, would tie them


def test_values_keep_nan_and_its_reason(tmp_path: Path) -> None:
    write_values(VALUES, tmp_path / "values.parquet")
    first, second, undefined = read_values(tmp_path / "values.parquet")
    assert [first, second] == [VALUES[1], VALUES[2]]
    assert math.isnan(undefined.value)
    assert undefined.why == "nothing is relevant"


def test_utilities_come_back_raw(tmp_path: Path) -> None:
    write_utilities(UTILITIES, tmp_path / "utilities.parquet")
    assert read_utilities(tmp_path / "utilities.parquet") == [UTILITIES[1], UTILITIES[0]]


def test_generations_are_one_line_each(tmp_path: Path) -> None:
    write_generations(GENERATIONS, tmp_path / "generations.jsonl")
    assert (tmp_path / "generations.jsonl").read_bytes().count(b"\n") == 2
    assert read_generations(tmp_path / "generations.jsonl") == {"q1": GENERATIONS[1], "q2": GENERATIONS[0]}


@pytest.mark.parametrize(
    "write",
    [
        lambda path, step: write_run(Run("bm25", 5, dict(list(RUN.rankings.items())[::step])), path),
        lambda path, step: write_values(VALUES[::step], path),
        lambda path, step: write_utilities(UTILITIES[::step], path),
        lambda path, step: write_generations(GENERATIONS[::step], path),
    ],
)
def test_the_order_in_which_things_come_changes_no_byte(tmp_path: Path, write: Callable[[Path, int], None]) -> None:
    write(tmp_path / "one", 1)
    write(tmp_path / "two", -1)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_digest_of_values_is_that_of_their_content() -> None:
    # printf '%s' '[["q1","AP",0.25,""],["q2","AP",null,"nothing is relevant"]]' | sha256sum
    expected = "4f795f85bd89d1a2424835dd506c6393fe5e310c150ee3fcdae723edeac30a4a"
    assert values_digest([VALUES[0], VALUES[1]]) == values_digest([VALUES[1], VALUES[0]]) == expected
    assert values_digest([VALUES[1]]) != values_digest([Value("q1", "AP", 0.25 + 1e-16 * 4)])


def test_two_values_of_one_query_and_measure_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="AP of query 'q1' has two values"):
        write_values([VALUES[1], VALUES[1]], tmp_path / "values.parquet")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.floats(allow_nan=False)))
def test_any_values_come_back_bit_for_bit(tmp_path: Path, values: dict[str, float]) -> None:
    given = [Value(query, "AP", value) for query, value in sorted(values.items())]
    write_values(given, tmp_path / "values.parquet")
    assert repr(read_values(tmp_path / "values.parquet")) == repr(given)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_torn_table_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "values.parquet"
    write_values(VALUES, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match=r"cannot read .*values\.parquet"):
        read_values(path)


def test_another_kind_of_table_is_named(tmp_path: Path) -> None:
    write_values(VALUES, tmp_path / "values.parquet")
    with pytest.raises(BadInput, match="holds values, schema 1, not run, schema 1"):
        read_run(tmp_path / "values.parquet")
    pq.write_table(pa.table({"query": ["q1"]}), tmp_path / "foreign.parquet")
    with pytest.raises(BadInput, match="holds foreign, schema none, not values"):
        read_values(tmp_path / "foreign.parquet")
    with pytest.raises(BadInput, match="cannot read"):
        read_run(tmp_path / "missing.parquet")


def break_off(text: str) -> str:
    return text[:-5]


def lose_a_field(text: str) -> str:
    return text.replace('"finish":"stop",', "")


def add_a_field(text: str) -> str:
    return text.replace('"finish":', '"mood":1,"finish":')


def no_object(text: str) -> str:
    return "7\n" + text


def repeat(text: str) -> str:
    return text + text


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (break_off, "breaks off in line 2"),
        (lose_a_field, "line 2 is no generation"),
        (add_a_field, "line 1 is no generation"),
        (no_object, "line 1 is no generation"),
        (repeat, "line 3 repeats the query 'q1'"),
    ],
)
def test_a_broken_line_of_generations_is_named(tmp_path: Path, harm: Callable[[str], str], complaint: str) -> None:
    path = tmp_path / "generations.jsonl"
    write_generations(GENERATIONS, path)
    path.write_text(harm(path.read_text()))
    with pytest.raises(BadInput, match=complaint):
        read_generations(path)
