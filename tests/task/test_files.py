"""Files: found by role, read with errors that name the place, fetched from a Hub that answers or quickly given up."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Answering, serving
from tests.task.parts import card_of, question, squad, write_json, write_jsonl
from uae_bench.errors import BadInput, DataUnavailable
from uae_bench.task.card import read_card
from uae_bench.task.files import file_digest, find
from uae_bench.task.readers import READERS
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.reading import read_json, read_jsonl
from uae_bench.task.task import read_task

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = squad({"context": "one two", "document_id": "d", "qas": [question("q", ("one", 0))]})


def test_truncated_json_is_named_with_its_position(tmp_path: Path) -> None:
    path = write_json(tmp_path / "d.json", CONTENT)
    path.write_text(path.read_text()[:60])
    with pytest.raises(BadInput, match=r"d\.json:1:\d+ is cut off") as error:
        read_json(path)
    assert "get the whole file again" in error.value.hint


def test_broken_json_is_named_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text('{\n  "a": 1,\n  b: 2\n}')
    with pytest.raises(BadInput, match=r"d\.json:3:3 is not valid JSON"):
        read_json(path)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.json.gz"
    path.write_bytes(gzip.compress(json.dumps(CONTENT).encode())[:-20])
    with pytest.raises(BadInput, match="is cut off or damaged"):
        read_json(path)


def test_a_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.json.gz"
    whole = bytearray(gzip.compress(json.dumps(CONTENT).encode()))
    whole[12] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="is cut off or damaged"):
        read_json(path)


@pytest.mark.parametrize("name", ["d.json", "d.json.gz"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, name: str) -> None:
    text = json.dumps(CONTENT).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert read_json(tmp_path / name) == CONTENT


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        read_json(path)


@pytest.mark.parametrize("reader", ["beir", "jsonl"])
def test_one_file_for_a_reader_of_several_is_refused_with_their_names(tmp_path: Path, reader: str) -> None:
    path = write_jsonl(tmp_path / "passages.jsonl", [{"id": "p", "text": "x"}])
    with pytest.raises(BadInput, match=r"is one file: this reader needs a folder with \w+, queries") as error:
        read_task(card_of(reader), path)
    assert "queries.jsonl" in error.value.hint


def test_brackets_without_end_are_no_data(tmp_path: Path) -> None:
    deep = "[" * 100_000
    (tmp_path / "d.json").write_text(deep)
    with pytest.raises(BadInput, match=r"d\.json nests its brackets too deeply"):
        read_json(tmp_path / "d.json")
    raw = RawTask()
    (tmp_path / "d.jsonl").write_text(f'{deep}\n{{"id": "p"}}\n')
    assert [where[-2:] for where, _ in read_jsonl(tmp_path / "d.jsonl", raw)] == [":2"]
    assert "nests its brackets too deeply" in str(raw.problems[0])
    (tmp_path / "d.toml").write_text(f"name = {deep}")
    with pytest.raises(BadInput, match=r"d\.toml is not valid TOML"):
        read_card(tmp_path / "d.toml")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        read_task(card_of("qasper"), path)


def test_a_path_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="no file or folder nowhere"):
        read_task(card_of(), Path("nowhere"))


def test_a_folder_without_the_files_of_its_layout_lists_what_is_expected(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "corpus.jsonl", [])
    with pytest.raises(BadInput, match="lacks queries, qrels") as error:
        find(tmp_path, READERS["beir"])
    assert "queries.jsonl" in error.value.hint


def test_two_files_for_one_role_are_refused(tmp_path: Path) -> None:
    for name in ("a-train.json", "b-train.json"):
        write_json(tmp_path / name, CONTENT)
    with pytest.raises(BadInput, match=r"several files for 'train': a-train\.json, b-train\.json"):
        find(tmp_path, READERS["squad"])


def test_a_folder_with_a_training_file_alone_is_one_task_to_be_split(tmp_path: Path) -> None:
    path = write_json(tmp_path / "squad-train.json", CONTENT)
    assert find(tmp_path, READERS["squad"]) == {"data": path}


def test_a_changed_file_is_refused_by_its_sha256(tmp_path: Path) -> None:
    path = write_json(tmp_path / "d.json", CONTENT)
    card = card_of(data=str(path), files={"data": {"sha256": file_digest(path)}})
    assert read_task(card, None).queries.keys() == {"q"}
    path.write_text(path.read_text().replace("one", "two"))
    with pytest.raises(BadInput, match="the file is not the pinned one") as error:
        read_task(card, None)
    assert f"'uae-bench task pin {card.name}'" in error.value.hint


def test_a_card_without_files_says_how_to_get_them() -> None:
    with pytest.raises(DataUnavailable, match="needs its data on disk") as error:
        read_task(card_of(obtain="ask the authors"), None)
    assert error.value.hint == "name a copy on disk with --data PATH; ask the authors"


class Hub(Answering):
    """The part of the Hub's protocol that a download needs; `served` maps a path in the repository to its bytes."""

    served: dict[str, bytes] = {}  # noqa: RUF012 - set once per test

    def answer(self) -> tuple[bytes, dict[str, str]]:
        body, headers = b"", dict[str, str]()
        if self.path.startswith("/api/datasets/owner/set/revision/"):
            body = json.dumps({"id": "owner/set", "sha": COMMIT, "siblings": []}).encode()
            headers = {"Content-Type": "application/json"}
        elif (name := self.path.removeprefix(f"/datasets/owner/set/resolve/{COMMIT}/")) in self.served:
            body = self.served[name]
            headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return body, headers


@pytest.fixture
def hub() -> Iterator[str]:
    with serving(Hub) as address:
        yield address


HUB_CARD = """\
name = "mine"
title = "x"
license = "x"
reader = "squad"
pool = "document"
encoder = "minilm"
splits.train.use = "train"
splits.dev.use = "dev"
splits.test.use = "test"
files.test = { repo = "owner/set", path = "deep/test.json" }
"""

PIN_AND_LOAD = """\
from uae_bench.errors import UaeBenchError
from uae_bench.task.pin import pin_card
from uae_bench.task.task import load_task
try:
    path, card = pin_card("mine.toml")
    print(card.files["test"].revision, card.files["test"].sha256, *load_task("mine.toml").splits["test"].queries)
except UaeBenchError as error:
    print(type(error).__name__, error, "|", error.hint)
"""


def run_with_hub(endpoint: str, folder: Path, **more: str) -> str:
    """The output of pinning and loading `mine.toml` against a Hub endpoint, in a process of its own."""
    (folder / "mine.toml").write_text(HUB_CARD)
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        **more,
    }
    code = "import sys; sys.path.insert(0, sys.argv.pop())\n" + PIN_AND_LOAD
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, root], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_pinning_writes_the_commit_and_the_sha256_of_what_was_downloaded(hub: str, tmp_path: Path) -> None:
    Hub.served = {"deep/test.json": json.dumps(CONTENT).encode()}
    digest = hashlib.sha256(Hub.served["deep/test.json"]).hexdigest()
    assert run_with_hub(hub, tmp_path) == f"{COMMIT} {digest} q"
    assert f'revision = "{COMMIT}"' in (tmp_path / "mine.toml").read_text()


def test_a_file_that_the_hub_does_not_have_is_named(hub: str, tmp_path: Path) -> None:
    Hub.served = {}
    answer = run_with_hub(hub, tmp_path)
    assert answer.startswith("DataUnavailable task mine: owner/set/deep/test.json (test) is not on this machine")


def test_an_unreachable_hub_is_given_up_within_seconds_naming_data(tmp_path: Path) -> None:
    started = time.monotonic()
    answer = run_with_hub("http://127.0.0.1:9", tmp_path)
    assert time.monotonic() - started < 15
    assert answer.startswith("DataUnavailable task mine: owner/set/deep/test.json (test) is not on this machine")
    assert answer.endswith("name a copy on disk with --data PATH")


def test_an_offline_machine_says_so(tmp_path: Path) -> None:
    assert "name a copy on disk with --data PATH" in run_with_hub("http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")
