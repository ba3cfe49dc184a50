"""Whatever a user gets wrong ends in one message that says what, why and what to do; never in a traceback."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.parts import Outcome, call
from tests.experiment import parts
from tests.task.parts import write_jsonl
from uae_bench.cli.outcome import offline_command
from uae_bench.errors import ModelUnavailable


def run(folder: Path, *arguments: object, card: Path | None = None) -> Outcome:
    """`uae-bench run` on the tiny task in `folder`, everything written below it."""
    task = card or parts.write_task(folder)
    return call("run", "--task", task, "--out", folder / "runs", "--store", folder / "store", *arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("-r bm52", 1, ("'bm52'", "did you mean bm25?")),
        ("-r bm25 --baseline bm52", 1, ("'bm52'", "did you mean bm25?")),
        ("-r bm25 --split tset", 1, ("'tset'", "test")),
        ("-r bm25 --measure NDCG@10", 1, ("'NDCG'", "nDCG")),
        ("-r bm25 --measure ExpUtil", 1, ("ExpUtil needs a cutoff",)),
        ("-r dense --encoder lab:encodr", 1, ("lab:encodr", "lab:encoder")),
        ("-r bm25 --measure EM --generator lab:lmf2", 1, ("'lmf2'", "lfm2")),
        ("-r bm25 --measure EM --generator lfm2", 1, ("backend:name@revision",)),
        ("-r bm25 --measure EM --generator hf:/nowhere", 1, ("/nowhere", "no such folder")),
        ("-r dense:/nowhere", 1, ("/nowhere", "no such folder")),
        ("-r uae --scorer lab:lfm2 --train-task qaspr", 1, ("'qaspr'", "qasper")),
        ("-r bm25 --train-task qasper", 2, ("--train-task qasper changes nothing",)),
        ("-r bm25 --scorer lab:lfm2", 2, ("--scorer lab:lfm2 changes nothing",)),
        ("-r oracle-evidence>bm25", 1, ("cannot stand in the chain",)),
        ("-r bm25>random", 2, ("random cannot follow",)),
        ("-r bm25:x", 2, ("takes no argument",)),
        ("-r cross-encoder", 2, ("a cross-encoder's name or folder", "bm25>cross-encoder:NAME")),
        ("-r dense: ", 2, ("empty step or argument",)),
        ("-r bm25 -r bm25", 2, ("'bm25' is given twice",)),
        ("-r dense -r dense:minilm", 2, ("given twice",)),
        ("-r bm25 --pool documents", 2, ("pool = 'documents'", "'document', 'corpus' or 'hard'")),
        ("-r bm25 --depth 0", 2, ("depth = 0",)),
        ("-r bm25 --context-size 0", 2, ("context_size = 0",)),
        ("-r bm25 --limit 0", 2, ("limit = 0",)),
        ("-r bm25 --context-size 1", 2, ("--context-size 1 changes nothing",)),
        ("-r bm25 --encoder bge", 2, ("--encoder bge changes nothing",)),
        ("-r bm25 --set tiny.split_seed=7", 2, ("split_seed changes nothing", "not drawn")),
        ("-r bm25 --set tiny.has_answers=false", 2, ("has_answers of task tiny is only shown",)),
        ("-r bm25 --set tiny.title=mine", 2, ("title of task tiny is only shown",)),
        ("-r bm25 --seeds 1,x", 2, ("--seeds '1,x'", "e.g. --seeds 0,1,2")),
        ("-r bm25 --seeds -1", 2, ("-1",)),
        ("-r bm25 --held-out lab:neox --held-out lab:neox", 2, ("'lab:neox' is given twice",)),
        ("-r bm25 --seeds 1,1", 2, ("1 is given twice",)),
        ("-r bm25 --set bm25.k=1", 1, ("bm25 has no option 'k'", "k1")),
        ("-r bm25 --set bm25.k1=high", 1, ("bm25.k1", "high", "uae-bench show bm25")),
        ("-r bm25 --set bm25.k1=nan", 1, ("bm25.k1",)),
        ("-r bm25 --set bm52.k1=1", 2, ("no row uses bm52", "bm25")),
        ("-r bm25 --set bm25", 2, ("component.option=value",)),
        ("-r uae --scorer lab:lfm2 --set uae.epoch=1", 1, ("uae has no option 'epoch'", "epochs")),
        ("-r uae --scorer lab:lfm2 --set uae.epochs=0", 1, ("uae.epochs = 0",)),
        ("-r bm25 --set tiny.dpeth=3", 1, ("dpeth", "depth")),
        ("-r bm25 --quiet --verbose", 2, ("contradict",)),
        ("-r bm25 --device tpu", 2, ("tpu", "cuda")),
        ("-r bm25 --lm-concurrency 2", 2, ("--lm-concurrency 2 changes nothing", "behind a server")),
        ("-r bm25 --lm-cache-gib 2", 2, ("--lm-cache-gib 2.0 changes nothing", "vllm:")),
        ("-r bm25 --max-cost 2 --price 1,2", 2, ("--max-cost 2.0 changes nothing", "behind a server")),
        ("-r bm25 --price 1,2", 2, ("--price changes nothing", "--max-cost")),
        ("-r bm25 --max-cost 2", 2, ("--max-cost needs prices", "--price 0.15,0.60")),
        ("-r bm25 --config nowhere.toml", 1, ("nowhere.toml", "No such file")),
        ("-r bm25 --data nowhere", 1, ("nowhere", "--data")),
        ("-r bm25 --train-data there", 2, ("--train-data there changes nothing", "no --train-task")),
        ("-r uae --train-task scifact --train-data nowhere", 1, ("nowhere", "--train-data")),
        ("-r bm25 --train-task scifact --train-data nowhere", 2, ("--train-task scifact changes nothing",)),
        ("", 2, ("no --retriever", "uae-bench list retrievers")),
    ],
)
def test_a_wrong_argument_is_named_with_its_fix(
    tmp_path: Path, arguments: str, code: int, said: tuple[str, ...]
) -> None:
    run(tmp_path, *arguments.split()).refused(code, *said)
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "runs").exists()


def test_files_for_a_task_that_is_generated_are_refused(tmp_path: Path) -> None:
    call("plan", "-t", "lab", "-r", "bm25", "--data", tmp_path).refused(2, f"{tmp_path} change nothing", "generated")


@pytest.mark.parametrize("arguments", ["--nonsense", "--depth x", "--retriever", "--limit 1.5"])
def test_an_argument_that_does_not_parse_exits_2(tmp_path: Path, arguments: str) -> None:
    outcome = run(tmp_path, *arguments.split())
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert arguments.split()[0] in outcome.err


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("lba", ("no task is called 'lba'", "did you mean lab?", "task new")),
        ("nowhere.toml", ("nowhere.toml", "No such file")),
        ("../tasks/lab", ("'../tasks/lab'",)),
        ("/etc/passwd", ("'/etc/passwd'",)),
    ],
)
def test_an_unknown_task_is_named_with_its_fix(task: str, said: tuple[str, ...]) -> None:
    call("run", "--retriever", "bm25", "--task", task).refused(1, *said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dpeth": 3}, ("unknown key 'dpeth'", "depth")),
        ({"pool": "documents"}, ("pool",)),
        ({"depth": 0}, ("depth",)),
        ({"reader": "jsnol"}, ("jsnol", "jsonl")),
        ({"name": "../tiny"}, ("name", "it names folders")),
        ({"name": "tiny/.."}, ("name",)),
        ({"splits": {"../test": {"use": "test"}}}, ("'../test'",)),
        ({"data": "nowhere"}, ("nowhere",)),
        ({"license": None}, ("'license' is missing",)),
        ({"baseline": "oracle"}, ("oracle",)),
    ],
)
def test_a_card_that_cannot_be_used_is_refused_by_key(
    tmp_path: Path, changes: dict[str, object], said: tuple[str, ...]
) -> None:
    parts.write_task(tmp_path)
    name = changes.get("name", "tiny")
    card = parts.write_card(tmp_path, **{**changes, "name": "tiny"})
    card.write_text(card.read_text().replace('name = "tiny"', f"name = {json.dumps(name)}"))
    run(tmp_path, "-r", "bm25", card=card).refused(1, *said)
    assert not (tmp_path / "runs").exists()


PASSAGE = {"id": "p1", "text": "words", "document_id": "d"}
QUERY = {"id": "q1", "text": "what?", "document_id": "d", "split": "test", "answers": ["words"], "evidence": ["p1"]}


@pytest.mark.parametrize(
    ("passages", "queries", "said"),
    [
        ([PASSAGE, {**PASSAGE, "text": "others"}], [QUERY], ("passages.jsonl:2", "p1")),
        ([PASSAGE], [QUERY, QUERY], ("queries.jsonl:2", "q1")),
        ([{**PASSAGE, "text": "  "}], [QUERY], ("passages.jsonl",)),
        ([{"id": "p1"}], [QUERY], ("passages.jsonl:1", "text")),
        ([PASSAGE], [{**QUERY, "evidence": ["p2"]}], ("queries.jsonl:1", "p2")),
        ([PASSAGE], [{**QUERY, "document_id": "elsewhere"}], ("'q1'", "names no document that has passages")),
        ([PASSAGE], [{**QUERY, "text": ""}], ("queries.jsonl:1",)),
        ([PASSAGE], [{**QUERY, "answers": 3}], ("queries.jsonl:1", "answers")),
        ([], [QUERY], ("passages.jsonl",)),
        ([PASSAGE], [], ("0 queries",)),
    ],
)
def test_data_that_cannot_be_used_is_refused_by_file_and_line(
    tmp_path: Path, passages: list[object], queries: list[object], said: tuple[str, ...]
) -> None:
    card = parts.write_task(tmp_path)
    write_jsonl(tmp_path / "data" / "passages.jsonl", passages)
    write_jsonl(tmp_path / "data" / "queries.jsonl", queries)
    run(tmp_path, "-r", "bm25", card=card).refused(1, *said)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"id": "p1", "text": "wo', b"[1, 2]\n", b"null\n"])
def test_a_torn_file_is_named(tmp_path: Path, content: bytes) -> None:
    card = parts.write_task(tmp_path)
    (tmp_path / "data" / "passages.jsonl").write_bytes(content)
    run(tmp_path, "-r", "bm25", card=card).refused(1, "passages.jsonl")


def test_a_card_that_is_no_toml_is_named_by_line(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    card.write_text('name = "tiny"\npool = [\n')
    run(tmp_path, "-r", "bm25", card=card).refused(1, "tiny.toml", "TOML")


def test_ids_never_become_paths(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    passage = {"id": "../../escaped", "text": "words", "document_id": "/etc"}
    query = {**QUERY, "id": "../q/1", "document_id": "/etc", "evidence": ["../../escaped"]}
    write_jsonl(tmp_path / "data" / "passages.jsonl", [passage])
    write_jsonl(tmp_path / "data" / "queries.jsonl", [query])
    assert run(tmp_path, "-r", "bm25", card=card).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.toml", "data", "runs", "store"}
    line = next((tmp_path / "runs").rglob("run.trec")).read_text()
    assert line.startswith("../q/1 Q0 ../../escaped 1 ")


def test_an_imported_rows_name_is_no_path(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    (tmp_path / "mine.trec").write_text("q-Oss-1 Q0 Oss-engine 1 2.0 mine\n")
    arguments = ("--task", card, "--out", tmp_path / "runs", "--store", tmp_path / "store")
    outcome = call("import", "run", tmp_path / "mine.trec", "--name", "../../mine", *arguments)
    assert outcome.code == 1
    assert "answers 1 of 10 queries; 'q-Oss-4' is missing" in outcome.err
    assert not (tmp_path.parent / "mine").exists()


@pytest.mark.parametrize("where", ["--out", "--store"])
def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    run(tmp_path, "-r", "bm25", where, tmp_path / "file").refused(1, str(tmp_path / "file"), "a file stands")


@pytest.mark.parametrize("where", ["--out", "--store"])
def test_a_place_where_no_folder_can_be_made_is_named(tmp_path: Path, where: str) -> None:
    outcome = run(tmp_path, "-r", "bm25", where, "/proc/nowhere")  # not even root can write there
    assert outcome.code == 1, outcome.err
    assert "error cannot write in /proc/nowhere" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_place_where_no_weights_can_be_written_is_named_before_hours_of_training() -> None:
    call("lab", "build", "--out", "/proc/nowhere").refused(1, "cannot write in /proc/nowhere")


def test_a_file_that_we_forgot_to_write_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.task.card.listed_cards", lambda: [Path("forgotten.json").read_text()])
    outcome = call("task", "list")
    assert outcome.code == 70
    assert "bug FileNotFoundError" in outcome.err


def test_an_archive_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert run(tmp_path, "-r", "bm25").code == 0
    call("export", "/proc/all.tar", "--store", tmp_path / "store").refused(1, "cannot write", "/proc/")


def test_an_unreachable_model_is_told_within_seconds_with_the_command_that_runs_here(tmp_path: Path) -> None:
    outcome = run(tmp_path, "-r", "dense", "--encoder", "nobody/nothing", "--seeds", "0")
    outcome.refused(1, "'nobody/nothing'")
    told = next(line for line in outcome.err.splitlines() if line.startswith("  run "))
    assert "nobody/nothing" not in told
    command = shlex.split(told)[1:]
    assert command[:2] == ["uae-bench", "run"]
    pairs = {" ".join(pair) for pair in zip(command[2::2], command[3::2], strict=True)}
    assert {"--retriever dense", "--encoder lab:encoder"} < pairs
    assert not {pair for pair in pairs if pair.startswith(("--baseline", "--held-out"))}  # nobody asked for them


@pytest.mark.parametrize(
    ("changes", "arguments", "expected"),
    [
        ({"baseline": "dense"}, "-r bm25", "--retriever bm25 --baseline bm25"),
        ({"baseline": "dense:nobody/other"}, "-r bm25", "--retriever bm25 --baseline bm25"),
        ({}, "-r dense --baseline random", "--retriever dense --baseline random --encoder lab:encoder"),
        ({}, "-r dense --held-out none", "--retriever dense --encoder lab:encoder --held-out none"),
        ({"encoder": "lab:encoder"}, "-r dense:nobody/other", "--retriever dense"),
        (
            {"held_out": ["hf:nobody/reads"], "measures": ["EM"], "generator": "lab:lfm2"},
            "-r bm25",
            "--retriever bm25 --held-out lab:llama --held-out lab:neox",
        ),
    ],
)
def test_a_command_without_a_hub_adds_only_what_does_not_hold_anyway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], arguments: str, expected: str
) -> None:
    parts.write_task(tmp_path, **{"encoder": "nobody/nothing", **changes})
    monkeypatch.chdir(tmp_path)
    outcome = call("plan", "-t", "tiny.toml", *arguments.split())
    outcome.refused(1, "nobody/")
    assert offered(outcome) == ["plan", "--task", "tiny.toml", *expected.split()]
    assert call(*offered(outcome)).code == 0


def cramped(megabytes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`uae-bench` in a process that may write no file larger than this: what a full disk is to it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes, megabytes))

    command = [sys.executable, "-m", "uae_bench", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=300, check=False)


def test_a_full_disk_ends_in_one_message_and_loses_nothing(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    arguments: Sequence[object] = (
        "run",
        "-r",
        "bm25",
        "-t",
        card,
        "--out",
        tmp_path / "out",
        "--store",
        tmp_path / "s",
    )
    ended = cramped(600, *arguments)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2].startswith("error cannot write in")
    assert "fix free space there" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "s").rglob("*.work"))
    assert call(*arguments).code == 0


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """`uae-bench COMMAND` as bash runs it, pipes and redirections included."""
    line = f"set -o pipefail; {sys.executable} -m uae_bench {command}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("command", [("list", "measures"), ("cache", "ls", "--json")])
def test_a_pipe_that_nobody_reads_ends_quietly(tmp_path: Path, command: tuple[str, ...]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    store = ("--store", str(tmp_path)) if command[0] == "cache" else ()
    ended = subprocess.run(
        [sys.executable, "-m", "uae_bench", *command, *store],
        stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_stream_that_is_closed_leads_nowhere(tmp_path: Path) -> None:
    silent = shell("list measures >&-")
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
    card = parts.write_task(tmp_path)
    ended = shell(f"run -t {card} -r bm25 --out {tmp_path / 'runs'} --store {tmp_path / 'store'} 2>&-")
    assert ended.returncode == 0
    assert "bm25 (base)" in ended.stdout


def test_an_interrupt_while_the_program_loads_ends_in_words() -> None:
    program = (
        "import sys\n"
        "class Struck:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Struck())\n"
        "from uae_bench.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.strip() == "interrupted before anything was begun"


def test_a_bug_of_ours_exits_70_and_asks_for_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.experiment.load_card", lambda name: 1 / 0)
    outcome = run(tmp_path, "-r", "bm25")
    assert outcome.code == 70
    assert "ZeroDivisionError" in outcome.err
    assert "report" in outcome.err


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    (tmp_path / "data" / "passages.jsonl").unlink()
    (tmp_path / "data" / "passages.jsonl").mkdir()
    run(tmp_path, "-r", "bm25", card=card).refused(1, "passages")
    if os.geteuid():  # root may read anything
        card.chmod(0)
        run(tmp_path, "-r", "bm25", card=card).refused(1, "Permission denied")


def offered(outcome: Outcome) -> list[str]:
    """The words of the command that an error offers, without the program's name."""
    told = next(line for line in outcome.err.splitlines() if line.startswith("  run "))
    return shlex.split(told)[2:]


def no_hub(*_: object, **__: object) -> None:
    raise ConnectionError("no route to host")


EXPERIMENT = """\
tasks = ["qasper"]
retrievers = ["uae", "bge"]
train_task = "newsqa"
scorer = "hf:nobody/judge"
split = "validation"

[settings.uae]
epochs = 2
reward_model = "nobody/judge"

[settings.qasper]
depth = 30
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-r bm25 -t qasper", "--task lab --retriever bm25"),
        ("-t newsqa -ruae -r bm25>minilm --limit 9", "--task lab --retriever uae --retriever bm25>dense --limit 9"),
        ("-r dense -t qasper --pool hard --set hard.size=9 --depth 9", "--task lab --retriever dense"),
        (
            "-r oracle-utility -t scifact --measure R@100 --set bm25.k1=0.9 -r bm25",
            "--task lab --retriever oracle-utility --retriever bm25 --depth 100 --measure R@100 --set bm25.k1=0.9",
        ),
        (
            "--config experiment.toml --seeds 0,2 --train-data there --held-out none",
            "--task lab --retriever uae --retriever dense --held-out none --seeds 0,2 --set uae.epochs=2",
        ),
    ],
)
def test_an_unreachable_task_is_told_with_a_command_that_can_be_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, expected: str
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", no_hub)
    monkeypatch.setattr("uae_bench.task.files._kept", lambda file: None)
    (tmp_path / "experiment.toml").write_text(EXPERIMENT)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    outcome = call("plan", *arguments.split())
    outcome.refused(1, "--data PATH")
    words = offered(outcome)
    assert shlex.join(words) == shlex.join(["plan", *expected.split()])
    planned = call(*words)
    assert planned.code == 0, planned.err


def test_a_training_task_out_of_reach_names_its_own_option(tmp_path: Path) -> None:
    outcome = run(tmp_path, "-r", "uae", "--scorer", "lab:lfm2", "--train-task", "newsqa")
    outcome.refused(1, "task newsqa needs its data on disk", "--train-data PATH")
    assert "--task lab --retriever uae" in outcome.err


def test_for_a_row_made_elsewhere_no_other_task_is_offered(tmp_path: Path) -> None:
    outcome = call("import", "run", tmp_path / "mine.trec", "--name", "mine", "--task", "newsqa")
    outcome.refused(1, "--data PATH")
    assert "\n  run " not in outcome.err


def test_a_baseline_that_nobody_named_is_told_apart_from_what_was_asked_for(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, baseline="dense", encoder="nobody/encoder")
    outcome = call("plan", "-t", card, "-r", "bm25", "-r", "random", "--store", tmp_path / "store")
    outcome.refused(1, "nobody/encoder", "dense:nobody/encoder, the card's baseline, asks for it", "--baseline bm25")
    told = offered(outcome)
    assert "--encoder" not in told
    assert call(*told).code == 0


def test_the_command_that_is_offered_without_a_hub_can_be_planned(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, scorer="hf:nobody/judge", generator="hf:nobody/writer", encoder="nobody/encoder")
    wanted = ("-r", "uae", "--retriever=bge", "-r", "bm25>cross-encoder:nobody/ranks", "--measure", "TokenF1")
    outcome = call("plan", "-t", card, *wanted, "--held-out", "hf:nobody/other", "--store", tmp_path / "store")
    outcome.refused(1, "nobody/")
    told = offered(outcome)
    assert "nobody" not in " ".join(told)
    planned = call(*told)
    assert planned.code == 0, planned.err
    for label in ("train uae (seed 0)", "retrieve dense:lab:encoder", "answer tiny/test with lab:lfm2"):
        assert label in planned.out


def test_the_command_that_runs_without_servers_leaves_out_how_they_are_run() -> None:
    error = ModelUnavailable("a server cannot be reached")
    error.offline = {"tasks": ("lab",), "scorer": "lab:lfm2"}
    typed = ["run", "--task", "mine.toml", "--max-tokens-total", "5", "--lm-timeout=3", "--quiet"]
    assert offline_command(typed, error) == "uae-bench run --quiet --task lab --scorer lab:lfm2"
