"""The commands as a user calls them: what they print where, and what they import."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.cli.parts import HEAVY, call, fresh
from tests.experiment import parts
from tests.leaderboard.parts import write_result
from tests.task.parts import write_jsonl
from uae_bench.cli import arguments, show
from uae_bench.cli.outcome import console
from uae_bench.cli.tables import print_results
from uae_bench.experiment import Results
from uae_bench.experiment.request import Request
from uae_bench.result import ModelRef, read_record
from uae_bench.systems import TRAINERS
from uae_bench.task.card import load_card

COMMANDS = (
    "run",
    "plan",
    "latency",
    "list",
    "show",
    "doctor",
    "export",
    "task",
    "cache",
    "import",
    "leaderboard",
    "lab",
)


def where(place: Path) -> tuple[object, ...]:
    return ("--out", place / "runs", "--store", place / "store")


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("list",)])
def test_help_and_lists_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    outcome, imported = fresh(*arguments)
    assert outcome.code == 0, outcome.err
    assert imported == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = f"import uae_bench, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert ended.stdout.strip() == "[]"


def test_every_command_is_in_the_help_with_what_it_does() -> None:
    shown = call("--help").out
    assert all(f" {command} " in shown for command in COMMANDS)
    assert "uae-bench run --retriever uae --task lab" in " ".join(shown.split())
    assert "--install-completion" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    outcome = call(command, "--help")
    assert outcome.code == 0
    assert "Usage: uae-bench" in outcome.out


def test_the_options_of_run_are_all_explained_with_examples() -> None:
    shown = " ".join(call("run", "--help").out.split())
    for option in (
        "--retriever", "--task", "--split", "--baseline", "--train-task", "--encoder", "--scorer", "--generator",
        "--held-out", "--pool", "--depth", "--context-size", "--seeds", "--limit", "--measure", "--set", "--config",
        "--data", "--train-data", "--out", "--store", "--device", "--json", "--quiet", "--verbose",
    ):  # fmt: skip
        assert option in shown, option
    assert "Examples:" in shown
    assert "name[@rev]" in shown and shown.count("[default:") >= 8  # square brackets are no markup
    assert "uae-bench run -r bm25 -r dense -r uae -t qasper --seeds 0,1,2" in shown


LEAVES = (
    *(
        "run",
        "plan",
        "latency",
        "list",
        "show qasper",
        "doctor",
        "export",
        "lab build",
        "import run",
        "import embeddings",
    ),
    *("import artifacts", "task new", "task check", "task list", "task pin", "cache ls", "cache why", "cache gc"),
    *("leaderboard add", "leaderboard render", "leaderboard check"),
)


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_shows_how_it_is_typed(command: str) -> None:
    shown = " ".join(call(*command.split(), "--help").out.split())
    assert f"uae-bench {command.removesuffix(' qasper')}" in re.split("Examples?:", shown)[-1]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("uae-bench le", {"leaderboard"}), ("uae-bench run --task q", {"qasper"}),
        ("uae-bench plan -r bm", {"bm25", "bm25-okapi"}), ("uae-bench run --baseline oracle-e", {"oracle-evidence"}),
        ("uae-bench run --measure uN", {"uNDCG"}), ("uae-bench export all.tar --stage re", {"retrieve"}),
        ("uae-bench run --pool co", {"corpus"}), ("uae-bench run --scorer lab:n", {"lab:neox"}),
        ("uae-bench run --held-out lab:l", {"lab:lfm2", "lab:llama"}), ("uae-bench run --encoder m", {"minilm"}),
        ("uae-bench show ha", {"hard"}), ("uae-bench task check q", {"qasper"}),
    ],
)  # fmt: skip
def test_a_shell_can_complete(typed: str, offered: set[str]) -> None:
    place = str(len(typed.split()) - 1)
    shell = {**os.environ, "_UAE_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": place}
    program = "import sys; sys.argv = ['uae-bench']; from uae_bench.cli import main; main()"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, env=shell, capture_output=True, text=True, timeout=300, check=False)
    assert set(ended.stdout.split()) == offered


def test_json_is_all_that_stands_on_stdout(tmp_path: Path) -> None:
    outcome = call("run", "-t", parts.write_task(tmp_path), "-r", "random", "--json", *where(tmp_path))
    content = json.loads(outcome.out)
    assert [record["system"] for record in content["records"]] == ["random", "bm25"]
    assert [Path(folder).is_dir() for folder in content["folders"]] == [True, True]
    assert outcome.err == ""


def test_what_is_undefined_is_null_in_json(tmp_path: Path) -> None:
    command = ("run", "-t", parts.write_task(tmp_path), "-r", "random", "--json", *where(tmp_path))
    found = json.loads(call(*command).out, parse_constant=pytest.fail)
    assert {(one["p"], one["p_adjusted"]) for one in found["comparisons"]["tiny"]} == {(None, None)}
    (stored,) = (tmp_path / "store" / "artifacts" / "compare").glob("*/comparisons.json")
    json.loads(stored.read_text(), parse_constant=pytest.fail)
    assert json.loads(call(*command).out) == found


def test_a_correction_that_is_none_or_corrects_nothing_is_refused(tmp_path: Path) -> None:
    command = ("run", "-t", parts.write_task(tmp_path), *where(tmp_path))
    call(*command, "-r", "random", "--set", "significance.correction=none").refused(1, "'holm' or 'max-t'")
    call(*command, "-r", "bm25", "--set", "significance.correction=max-t").refused(2, "no row uses significance")


def test_the_table_names_the_correction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"significance.correction": "max-t"}
    results = parts.run(parts.write_task(tmp_path), tmp_path, ("random",), settings=settings)
    tested = tuple(replace(one, why="") for one in results.comparisons["tiny"])  # as with documents enough
    print_results(console(stderr=False), replace(results, comparisons={"tiny": tested}))
    assert "clustered by document, max-T within a measure" in capsys.readouterr().out


def test_a_measure_without_marks_says_why_and_the_others_keep_their_legend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = parts.run(parts.write_task(tmp_path), tmp_path, ("random",))
    few = "only 7.3 effective documents, fewer than 20"
    tested = tuple(
        replace(one, p_adjusted=0.01, why=few if one.measure == "nDCG@10" else "")
        for one in results.comparisons["tiny"]
    )
    print_results(console(stderr=False), replace(results, comparisons={"tiny": tested}))
    told = capsys.readouterr().out.splitlines()
    assert f"nDCG@10: no ▲▼: {few}" in told
    assert any(line.startswith("▲▼ above or below bm25 at p ≤ 0.05") for line in told)


def test_beside_a_table_stands_what_its_rows_are_and_who_else_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = parts.run(parts.write_task(tmp_path), tmp_path, ("random",))
    random, bm25 = results.records
    again = random.measures[0].model_copy(update={"measure": "ExpUtil@1 [lab:neox]"})
    note = "dev did not improve: this row is the encoder that training starts from"
    told = random.model_copy(update={"notes": (*random.notes, note), "measures": (*random.measures, again)})
    print_results(console(stderr=False), replace(results, records=(told, bm25)))
    lines = capsys.readouterr().out.splitlines()
    assert f"random: {note}" in lines
    assert "measured under lab:neox too, which no training saw: see record.json" in lines


def test_a_table_has_the_best_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = parts.run(parts.write_task(tmp_path), tmp_path, ("random", "oracle-evidence"))
    print_results(console(stderr=False), results)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "0." in line or "1.000" in line]
    values = [float(row[-2].strip("▲▼")) for row in rows if row[0] in ("random", "bm25", "oracle-evidence")]
    assert len(values) == 3 and values == sorted(values, reverse=True)


def test_without_a_terminal_the_output_is_plain(tmp_path: Path) -> None:
    outcome = call("run", "-t", parts.write_task(tmp_path), "-r", "random", *where(tmp_path))
    assert outcome.code == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert "made  retrieve random on tiny/test" in outcome.err.splitlines()
    assert "tiny · test · document pool · 10 queries in 5 documents" in outcome.out.splitlines()
    assert "bm25 (base)" in outcome.out
    assert "no test: with 5 documents" in outcome.out


def test_quiet_says_only_the_result_and_verbose_what_was_kept(tmp_path: Path) -> None:
    command = ("run", "-t", parts.write_task(tmp_path), "-r", "bm25", *where(tmp_path))
    assert call(*command, "--quiet").err == ""
    assert call(*command).err == ""
    assert "kept  retrieve bm25 on tiny/test" in call(*command, "--verbose").err.splitlines()


def test_a_limited_run_says_that_it_is_partial(tmp_path: Path) -> None:
    outcome = call("run", "-t", parts.write_task(tmp_path), "-r", "bm25", "--limit", "2", *where(tmp_path))
    assert "partial: --limit" in outcome.out


@pytest.mark.parametrize(
    ("asked", "columns", "others"),
    [
        (("R@5", "P@3"), ["R@5", "P@3"], ""),
        (("R@5", "AP"), ["AP", "R@5"], ""),
        (("P@1", "P@2", "P@3", "P@4", "P@5", "RR", "R@1"), ["RR", "P@1", "P@2", "P@3", "P@4"], "P@5, R@1"),
    ],
)
def test_the_table_has_the_measures_that_were_asked_for(
    tmp_path: Path, asked: tuple[str, ...], columns: list[str], others: str
) -> None:
    card = parts.write_task(tmp_path)
    outcome = call("run", "-t", card, "-r", "bm25", *(f"--measure={one}" for one in asked), *where(tmp_path))
    assert outcome.code == 0, outcome.err
    head = next(line.split() for line in outcome.out.splitlines() if line.strip().startswith("system"))
    assert head == ["system", *columns]
    assert others in outcome.out
    assert ("also measured: " in outcome.out) is bool(others)


def test_queries_left_out_are_told_of_shown_measures_alone(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    queries = tmp_path / "data" / "queries.jsonl"
    *others, last = (json.loads(line) for line in queries.read_text().splitlines())
    write_jsonl(queries, [*others, {**last, "evidence": []}])
    asked = ("nDCG@10", "R@10", "AP", "RR", "Success@5", "R@3")
    outcome = call("run", "-t", card, "-r", "bm25", *(f"--measure={one}" for one in asked), *where(tmp_path))
    told = next(line for line in outcome.out.splitlines() if " without " in line)
    assert "RR" in told and "R@3" not in told


@pytest.mark.parametrize(
    ("task", "said"), [("toy", "by lab:lfm2, the model that trained systems learnt from"), (None, "by lab:lfm2")]
)
def test_the_table_names_who_taught_only_where_something_was_taught(
    tmp_path: Path, task: str | None, said: str
) -> None:
    scorer = {"scorer": ModelRef(spec="lab:lfm2", identity={})}
    folder = write_result(tmp_path / "one", {"ExpUtil@1": [1.0, 0.0]}, models=scorer, train_task=task)
    console = Console(file=StringIO(), width=200)
    print_results(
        console, Results((read_record(folder / "record.json"),), (), {}, {}, {"toy": "bm25"}, {"toy": "holm"})
    )
    assert isinstance(console.file, StringIO)
    assert f"utility: log-ratio {said}\n" in console.file.getvalue()


def test_options_go_before_the_experiment_file(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    path = tmp_path / "experiment.toml"
    path.write_text(f'tasks = ["{card}"]\nretrievers = ["random"]\nlimit = 3\n[settings.bm25]\nk1 = 0.9\nb = 0.4\n')
    command = ("run", "--config", path, "--limit", "4", "--set", "bm25.b=0.5", "--json", *where(tmp_path))
    records = json.loads(call(*command).out)["records"]
    assert [(record["system"], record["queries"]) for record in records] == [("random", 4), ("bm25", 4)]
    assert (records[1]["settings"]["bm25"]["k1"], records[1]["settings"]["bm25"]["b"]) == (0.9, 0.5)


def test_an_experiment_file_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('task = ["lab"]\nretrievers = ["random"]\n')
    call("run", "--task", "lab", "--config", path).refused(2, "no field 'task'", "tasks")
    path.write_text('tasks = ["lab"]\nretreivers = ["random"]\n')
    call("run", "--config", path).refused(2, "no field 'retreivers'", "did you mean retrievers")


def test_a_plan_prints_steps_reasons_and_cost_and_makes_nothing(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    command = ("plan", "-t", card, "-r", "random", "--store", tmp_path / "store")
    assert "0 of 8 steps are stored" in call(*command).out
    assert not (tmp_path / "store").exists()
    steps = json.loads(call(*command, "--json").out)
    assert [step["stage"] for step in steps].count("retrieve") == 2
    assert {step["status"] for step in steps} == {"miss", "waits"}


def test_a_plan_names_what_is_torn(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    asked = ("-t", card, "-r", "random")
    assert call("run", *asked, *where(tmp_path)).code == 0
    next((tmp_path / "store" / "artifacts" / "pool").rglob("pools.json")).write_text("{}")
    outcome = call("plan", *asked, "--store", tmp_path / "store")
    assert outcome.code == 0, outcome.err
    assert "pools.json was altered; `uae-bench cache gc` removes it" in outcome.out
    assert "waits" in outcome.out


def test_a_run_made_elsewhere_becomes_a_row(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    task = load_card(str(card))
    assert call("run", "-t", card, "-r", "random", *where(tmp_path)).code == 0
    elsewhere = next((tmp_path / "runs" / "tiny" / "random").rglob("run.trec"))
    command = ("import", "run", elsewhere, "--name", "mine", "-t", card, "--measure", "nDCG@10", *where(tmp_path))
    outcome = call(*command)
    assert outcome.code == 0, outcome.err
    folder = next((tmp_path / "runs" / task.name / "mine").iterdir())
    record = json.loads((folder / "record.json").read_text())
    assert (record["kind"], record["system"]) == ("imported", "mine")
    ours = next(one for one in record["measures"] if one["measure"] == "nDCG@10")
    original = next((tmp_path / "runs" / "tiny" / "random").rglob("record.json"))
    theirs = next(one for one in json.loads(original.read_text())["measures"] if one["measure"] == "nDCG@10")
    assert ours == theirs


def test_an_imported_row_is_run_with_the_options_of_run(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    assert call("run", "-t", card, "-r", "random", *where(tmp_path)).code == 0
    original = next((tmp_path / "runs" / "tiny" / "random").rglob("run.trec"))
    command = (
        "import",
        "run",
        original,
        "--name",
        "mine",
        "-t",
        card,
        "--limit",
        "3",
        "--set",
        "bm25.k1=0.9",
        "--json",
    )
    outcome = call(*command, *where(tmp_path))
    assert outcome.err == ""
    records = {record["system"]: record for record in json.loads(outcome.out)["records"]}
    assert {name: (one["partial"], one["queries"]) for name, one in records.items()} == {
        "mine": (True, 3),
        "bm25": (True, 3),
    }
    assert records["bm25"]["settings"]["bm25"]["k1"] == 0.9
    assert call(*command[:-1], "--quiet", *where(tmp_path)).err == ""
    other = parts.write_task(tmp_path / "other", name="other")
    call(*command, "-t", other, *where(tmp_path)).refused(2, "mine was made on one task")


def test_every_field_of_an_experiment_is_an_option_of_its_name() -> None:
    assert list(inspect.signature(arguments.fields).parameters) == list(Request.model_fields)


@pytest.mark.parametrize(("name", "why"), [("bm25", "is called so"), ("uae", "is called so"), (" ", "says nothing")])
def test_an_imported_row_cannot_be_called_like_a_system(tmp_path: Path, name: str, why: str) -> None:
    card = parts.write_task(tmp_path)
    (tmp_path / "mine.trec").write_text("")
    command = ("import", "run", tmp_path / "mine.trec", "--name", name, "-t", card, *where(tmp_path))
    call(*command).refused(2, "cannot name an imported row", why)


def test_vectors_made_elsewhere_become_a_row(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    lines = {name: (tmp_path / "data" / f"{name}.jsonl").read_text().splitlines() for name in ("passages", "queries")}
    ids = {name: [json.loads(line)["id"] for line in rows] for name, rows in lines.items()}
    rng = np.random.default_rng(0)
    for name, names in ids.items():
        vectors = rng.standard_normal((len(names), 4)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", ids=np.array(names), vectors=vectors)
    files = ("--queries", tmp_path / "queries.npz", "--passages", tmp_path / "passages.npz")
    outcome = call("import", "embeddings", *files, "--name", "mine", "-t", card, *where(tmp_path))
    assert outcome.code == 0, outcome.err
    assert "mine" in outcome.out


def test_a_store_can_be_looked_into_packed_and_taken_over(tmp_path: Path) -> None:
    command = ("run", "-t", parts.write_task(tmp_path), "-r", "bm25")
    assert call(*command, *where(tmp_path)).code == 0
    listed = json.loads(call("cache", "ls", "--json", "--store", tmp_path / "store").out)
    assert {one["stage"] for one in listed} == {"pool", "retrieve", "latency", "evaluate"}
    why = json.loads(call("cache", "why", listed[0]["key"][:10], "--store", tmp_path / "store").out)
    assert why["key"]["stage"] == listed[0]["stage"]
    assert call("export", tmp_path / "all.tar", "--store", tmp_path / "store").code == 0
    assert call("import", "artifacts", tmp_path / "all.tar", "--store", tmp_path / "other").code == 0
    again = call(*command, "--out", tmp_path / "runs", "--store", tmp_path / "other")
    assert "made" not in again.err
    assert "MiB freed" in call("cache", "gc", "--store", tmp_path / "store").out


@pytest.mark.parametrize("arguments", [("why", "zz"), ("why", "")])
def test_a_key_that_the_store_does_not_hold_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    call("cache", *arguments, "--store", tmp_path / "store").refused(1, "cache ls")


def test_the_store_says_what_an_artifact_is_of_and_an_archive_gets_its_folder(tmp_path: Path) -> None:
    assert call("run", "-t", parts.write_task(tmp_path), "-r", "random", *where(tmp_path)).code == 0
    listed = [" ".join(line.split()) for line in call("cache", "ls", "--store", tmp_path / "store").out.splitlines()]
    assert any(line.startswith("retrieve retrieve random on tiny/test ") for line in listed)
    archive = tmp_path / "new" / "pools.tar"
    said = call("export", archive, "--stage", "pool", "--store", tmp_path / "store").out
    assert said.split() == ["1", "artifact", "in", str(archive)]


@pytest.mark.parametrize("file", ["nowhere.trec", "."])
def test_a_run_that_cannot_be_read_is_named(tmp_path: Path, file: str) -> None:
    card = parts.write_task(tmp_path)
    call("import", "run", tmp_path / file, "--name", "mine", "-t", card, *where(tmp_path)).refused(1, "cannot be read")


@pytest.mark.parametrize("amount", ["--days=-1", "--days=nan", "--keep=-1", "--keep=inf"])
def test_what_is_no_amount_removes_nothing(tmp_path: Path, amount: str) -> None:
    call("cache", "gc", amount, "--store", tmp_path / "store").refused(2, amount.replace("=", " "), "from 0 on")


def test_the_lab_is_not_trained_for_a_place_or_seed_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lab.build._built", lambda *_: pytest.fail("training began"))
    file = tmp_path / "encoder"
    file.write_text("")
    call("lab", "build", "--out", file).refused(1, str(file), "a file stands")
    call("lab", "build", "--only", "encoder", "--out", tmp_path).refused(1, str(tmp_path), "a file stands")
    negative = call("lab", "build", "--seed", "-1", "--out", tmp_path / "weights")
    assert (negative.code, (tmp_path / "weights").exists()) == (2, False)
    assert "--seed" in negative.err


def test_nothing_to_export_is_said(tmp_path: Path) -> None:
    call("export", tmp_path / "all.tar", "--store", tmp_path / "store").refused(2, "nothing to export")


def test_an_unknown_stage_to_export_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    command = ("export", tmp_path / "all.tar", "--stage", "pool", "--stage", "nope", "--store", tmp_path / "store")
    call(*command).refused(1, "no stage is called 'nope'", "pool, retrieve", "utility")


@pytest.mark.parametrize(
    "name", ["uae", "bm25", "tiny.toml", "nDCG", "nDCG@10", "oracle-utility", "lab", "hard", "significance"]
)
def test_anything_can_be_shown_by_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.write_task(tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = call("show", name)
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip()


def test_options_are_shown_as_one_sets_them_with_what_they_do() -> None:
    shown = " ".join(call("show", "bm25").out.split())
    assert "--set bm25.b=0.75 0 ignores a passage's length" in shown
    assert "--set bm25.stemmer=english english: Snowball's (english or none)" in shown
    assert "--set lab.seed=100" in call("show", "lab").out
    assert "TokenF1(context=…) retrieved or none or gold" in " ".join(call("show", "TokenF1").out.split())


def test_what_is_shown_of_an_option_can_be_typed() -> None:
    assert "--set dense.query_prefix=<unset> " in call("show", "dense").out  # any word would become the prefix
    assert "--set training.permute_utilities=false " in call("show", "training").out


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, "τ, silent; unit vectors whose similarities span") for name in ("uae", "uae-direct", "infonce")),
        ("gainrag", "α of contrastive decoding, the paper's"),
    ],
)
def test_a_trainers_options_can_be_read_and_copied_at_any_width(
    name: str, reason: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "out", Console(width=columns))
    shown = call("show", name).out
    assert max(map(len, shown.splitlines())) <= columns
    settable = [" ".join(line.split()[:2]) for line in shown.splitlines() if line.startswith("  --set ")]
    defaults = tomllib.loads(TRAINERS[name].defaults.read_text(encoding="utf-8"))
    read = TRAINERS[name].config.model_fields
    typed = {option: str(value).lower() if isinstance(value, bool) else value for option, value in defaults.items()}
    assert settable == [f"--set {name}.{option}={value}" for option, value in typed.items() if option in read]
    assert " # " not in shown
    assert reason in " ".join(shown.split())


def test_a_tasks_defaults_are_shown_with_what_its_card_says() -> None:
    shown = {tuple(line.split(maxsplit=1)) for line in call("show", "lab").out.splitlines() if "--set" not in line}
    assert {("depth", "50"), ("baseline", "dense"), ("definition", "log-ratio")} <= {
        (key, value.strip()) for key, value in shown
    }


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    call("show", "nDGC").refused(1, "'nDGC'", "nDCG")


def test_lists_name_everything_that_can_be_run() -> None:
    shown = call("list").out
    for name in (
        "lab",
        "scifact",
        "bm25",
        "uae",
        "infonce",
        "oracle-evidence",
        "nDCG",
        "lab:lfm2",
        "lab:encoder",
        "beir",
    ):
        assert name in shown, name
    call("list", "retriever").refused(2, "'retriever' is no kind", "did you mean retrievers")
    assert "bm25" in call("list", "retrievers").out


def test_a_task_of_ones_own_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.write_task(tmp_path, answers=False)
    monkeypatch.chdir(tmp_path)
    assert call("task", "new", "mine", "--from", "data").code == 0
    assert call("task", "check", "mine").code == 0
    assert "mine" in call("task", "list").out
    assert call("run", "-r", "bm25", "--baseline", "random", "-t", "mine").code == 0
    assert (tmp_path / "runs" / "mine" / "bm25").is_dir()
    call("task", "new", "mine", "--from", "data").refused(1, "exists")


def test_a_broken_card_is_listed_with_its_reason_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.toml").write_text("nonsense = 1\n")
    monkeypatch.chdir(tmp_path)
    for command in (("list",), ("list", "tasks"), ("task", "list")):
        outcome = call(*command)
        assert outcome.code == 0, outcome.err
        assert "lab" in outcome.out
        told = next(line for line in outcome.out.splitlines() if line.strip().startswith("mine"))
        assert "broken: tasks/mine.toml: " in told


def test_what_is_wrong_with_a_card_is_said_once(tmp_path: Path) -> None:
    card = parts.write_card(tmp_path, dpeth=3)
    outcome = call("task", "check", card)
    assert outcome.code == 3
    assert (outcome.out + outcome.err).count("unknown key 'dpeth'") == 1
    assert outcome.out.count(str(card)) == 1
    assert "task tiny has 1 problem" in outcome.err.replace(str(card), "tiny")


def test_pinning_says_whether_it_changed_the_card(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    assert call("task", "pin", card).out == f"pinned 2 files in {card}\n"
    card.write_text("# mine\n" + card.read_text())
    assert call("task", "pin", card).out == f"nothing changed: 2 files pinned already in {card}\n"
    assert card.read_text().startswith("# mine\n")


def test_ctrl_c_exits_130_with_the_command_that_goes_on(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, models=True)
    arguments = [str(one) for one in ("run", "-t", card, "-r", "random", *where(tmp_path))]
    command = [sys.executable, "-m", "uae_bench", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    )
    assert process.stderr is not None
    said = process.stderr.readline()  # the first stage is done; torch is still to be loaded
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert said.startswith("made ")
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].strip() == "uae-bench " + " ".join(arguments)


def test_a_name_between_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    console(stderr=False).print("dense:apple:v1")
    assert capsys.readouterr().out == "dense:apple:v1\n"
