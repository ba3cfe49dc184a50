"""`uae-bench latency`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.parts import call
from tests.experiment.parts import encoder, language_model, options, write_task
from uae_bench.result import LatencyRecord

DENSE = f"dense:{encoder()}"
RERANKED = f"bm25>{DENSE}"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return write_task(tmp_path, encoder=str(encoder()))


def where(place: Path) -> tuple[object, ...]:
    return ("--out", place / "runs", "--store", place / "store", "--device", "cpu")


def test_systems_are_told_beside_one_another_and_the_record_is_written(card: Path, tmp_path: Path) -> None:
    outcome = call("latency", "-t", card, "-r", DENSE, "-r", RERANKED, "--queries", 3, *where(tmp_path))
    assert outcome.code == 0, outcome.err
    written = tmp_path / "runs" / "tiny" / "latency-test-document.json"
    record = LatencyRecord.model_validate_json(written.read_text())
    assert [one.system for one in record.over_candidates] == [DENSE, RERANKED]
    assert record.baseline == DENSE
    assert record.over_candidates[0].ratio == 1.0
    shown = " ".join(outcome.out.split())
    assert "tiny · test · 3 queries, one at a time, warm, in turn" in shown
    assert "at most 10 a query, 6 by the median" in shown
    for stage in ("encode", "search", "encode + search", "rerank 1", "total", "p50 / p95 ms", f"× {DENSE}"):
        assert stage in shown, stage
    assert f"{record.threads} thread" in shown and "device cpu" in shown
    assert str(written) in outcome.out


def test_json_is_all_that_stands_on_stdout(card: Path, tmp_path: Path) -> None:
    outcome = call("latency", "-t", card, "-r", "bm25", "--queries", 2, "--json", *where(tmp_path))
    assert outcome.code == 0, outcome.err
    (record,) = json.loads(outcome.out)
    assert LatencyRecord.model_validate(record).queries == 2
    assert outcome.err == ""


def test_ratios_are_to_the_baseline_where_one_is_named(card: Path, tmp_path: Path) -> None:
    asked = ("-r", "bm25", "-r", DENSE, "--baseline", DENSE)
    outcome = call("latency", "-t", card, *asked, "--queries", 2, "--json", *where(tmp_path))
    (record,) = json.loads(outcome.out)
    assert {one["system"]: one["ratio"] == 1.0 for one in record["over_candidates"]} == {"bm25": False, DENSE: True}


def test_a_made_up_corpus_is_searched_exactly_and_by_a_graph(card: Path, tmp_path: Path) -> None:
    outcome = call("latency", "-t", card, "-r", DENSE, "--queries", 2, "--corpus", 200, *where(tmp_path))
    assert "over 200 made-up vectors" in outcome.out
    for index in ("flat", "hnsw"):
        assert any(line.split()[1:2] == [index] for line in outcome.out.splitlines()), index


@pytest.mark.parametrize(
    ("option", "value"), [("--measure", "nDCG@10"), ("--held-out", "lab:neox"), ("--context-size", 2)]
)
def test_an_option_that_changes_no_time_is_refused(card: Path, tmp_path: Path, option: str, value: object) -> None:
    outcome = call("latency", "-t", card, "-r", "bm25", option, value, *where(tmp_path))
    outcome.refused(2, f"{option} changes nothing here")


def test_an_experiment_that_is_judged_is_timed_from_the_same_file(card: Path, tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        f'tasks = ["{card}"]\nretrievers = ["bm25"]\nmeasures = ["nDCG@10", "Lift"]\nheld_out = ["lab:neox"]\n'
        'context_size = 2\n[settings.family]\n"lab:neox" = "gpt-neox"\n[settings.bm25]\nk1 = 0.9\n'
    )
    command = ("latency", "--config", path, "--queries", 2, *where(tmp_path))
    outcome = call(*command)
    assert outcome.code == 0, outcome.err
    call(*command, "--context-size", 2).refused(2, "--context-size changes nothing here")
    call(*command, "--set", "family.lab:neox=gpt-neox").refused(2, "no row uses family")


@pytest.mark.parametrize(
    ("field", "value"), [("scorer", "lab:lfm2"), ("generator", "lab:llama"), ("encoder", "lab:encoder")]
)
def test_a_model_that_no_timed_row_needs_may_stand_in_a_file_and_not_be_typed(
    card: Path, tmp_path: Path, field: str, value: str
) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(f'tasks = ["{card}"]\nretrievers = ["bm25"]\n{field} = "{value}"\n[settings.lm]\nwindow = 64\n')
    command = ("latency", "--config", path, "--queries", 2, *where(tmp_path))
    outcome = call(*command)
    assert outcome.code == 0, outcome.err
    call(*command, f"--{field}", value).refused(2, f"--{field} {value} changes nothing here")
    call(*command, "--set", "lm.window=64").refused(2, "no row uses lm")
    call(*command, "--set", "scorer.window=64").refused(2, "scorer")


def test_what_a_file_says_of_a_model_that_a_timed_row_asks_holds(card: Path, tmp_path: Path) -> None:
    path, model = tmp_path / "experiment.toml", f"hf:{language_model()}"
    path.write_text(
        f'tasks = ["{card}"]\nretrievers = ["bm25>rankgpt"]\ngenerator = "{model}"\n[settings.lm]\nwindow = 64\n'
    )
    command = ("latency", "--config", path, "--queries", 2, "--candidates", 2, "--json", *where(tmp_path))
    call(*command).refused(1, "fit the model", "rankgpt.window")
    outcome = call(*command, "--set", "lm.window=255")
    assert outcome.code == 0, outcome.err


def test_a_setting_that_no_timed_row_reads_is_refused(card: Path, tmp_path: Path) -> None:
    outcome = call("latency", "-t", card, "-r", "bm25", *options({"uae.epochs": 2}), *where(tmp_path))
    outcome.refused(2, "no row uses uae")


def test_a_reference_is_refused(card: Path, tmp_path: Path) -> None:
    call("latency", "-t", card, "-r", "bm25", "-r", "oracle-evidence", *where(tmp_path)).refused(2, "no query waits")


def test_help_says_how_it_is_typed() -> None:
    shown = " ".join(call("latency", "--help").out.split())
    for option in ("--candidates", "--queries", "--corpus", "--baseline", "--json", "--out"):
        assert option in shown, option
    assert "uae-bench latency -t lab -r uae -r 'bm25>rankgpt'" in shown
