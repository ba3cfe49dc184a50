"""Weights are identified by content, read again only when they changed, and never unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.hub import Answering, serving
from uae_bench import weights
from uae_bench.errors import BadInput, ModelUnavailable

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory of digests of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_digests", {})
    return tmp_path / "cache" / "uae-bench" / "weights.json"


def large(path: Path, byte: bytes) -> Path:
    path.write_bytes(byte * (2**20 + 1))
    return path


def test_names_and_contents_count(tmp_path: Path) -> None:
    one, two = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    one.write_bytes(b"x")
    two.write_bytes(b"y")
    both = weights.identify([one, two])
    assert weights.identify([two, one]) == both
    one.write_bytes(b"y")
    two.write_bytes(b"x")
    assert weights.identify([one, two]) != both


def test_a_large_file_is_read_once_even_by_later_processes(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large(tmp_path / "model.safetensors", b"a")
    first = weights.identify([path])
    assert memory.exists()
    monkeypatch.setattr(weights, "_digests", {})  # as in another process

    def unexpected(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(weights, "file_digest", unexpected)
    assert weights.identify([path]) == first


def test_a_changed_file_of_the_same_size_is_noticed_by_its_time(tmp_path: Path) -> None:
    path = large(tmp_path / "model.safetensors", b"a")
    first = weights.identify([path])
    large(path, b"b")
    os.utime(path, ns=(1, 1))
    assert weights.identify([path]) != first


def test_a_memory_that_is_damaged_or_cannot_be_written_is_no_loss(tmp_path: Path, memory: Path) -> None:
    path = large(tmp_path / "model.safetensors", b"a")
    expected = weights.identify([path])
    memory.write_text("{torn")
    weights._digests.clear()
    assert weights.identify([path]) == expected
    memory.unlink()
    memory.parent.rmdir()
    memory.parent.write_text("a file stands where the folder should be")
    weights._digests.clear()
    assert weights.identify([path]) == expected


def test_a_json_file_may_lack_but_not_be_broken(tmp_path: Path) -> None:
    assert weights.read_json(tmp_path / "none.json") == {}
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ModelUnavailable, match="no JSON object"):
        weights.read_json(tmp_path / "list.json")


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    assert weights.find_folder(str(tmp_path), "", offline="-") == tmp_path
    with pytest.raises(ModelUnavailable, match="no revisions"):
        weights.find_folder(str(tmp_path), "main", offline="-")


def test_weights_in_a_pickle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(BadInput, match=r"keeps weights in pytorch_model\.bin, a pickle"):
        weights.require_safetensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    weights.require_safetensors(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(BadInput, match="holds no safetensors weights"):
        weights.require_safetensors(tmp_path)


# --- the hub


MAIN, CONVERTED = "0" * 40, "1" * 40
FILES = {MAIN: {"config.json": b"{}", "pytorch_model.bin": b"a pickle"}, CONVERTED: {"config.json": b"{}"}}
FILES[CONVERTED]["model.safetensors"] = b"weights"
REFERENCES = {"main": MAIN, "refs/pr/7": CONVERTED, MAIN: MAIN, CONVERTED: CONVERTED}
REQUEST = {
    "title": weights.CONVERTED, "num": 7, "author": {"name": weights.CONVERTER}, "status": "open",
    "createdAt": "2023-05-01T00:00:00.000Z", "repo": {"name": "owner/model", "type": "model"}, "isPullRequest": True,
}  # fmt: skip


class Silent(Answering):
    """A hub, or a proxy before it, that takes every request and hangs up."""

    def _send(self, *, whole: bool) -> None:
        self.close_connection = True


class ModelHub(Answering):
    """A hub with one model: a pickle on its main branch, and perhaps the converter's pull request with safetensors."""

    requests: tuple[dict[str, object], ...] = ()

    def answer(self) -> tuple[bytes, dict[str, str]]:
        path = unquote(urlsplit(self.path).path)
        body, headers = b"", dict[str, str]()
        if path == "/api/models/owner/model/discussions":
            page = {"count": len(self.requests), "start": 0, "discussions": list(self.requests)}
            body, headers = json.dumps(page).encode(), {"Content-Type": "application/json"}
        elif (reference := path.removeprefix("/api/models/owner/model/revision/")) in REFERENCES:
            commit = REFERENCES[reference]
            told = {"id": "owner/model", "sha": commit, "siblings": [{"rfilename": name} for name in FILES[commit]]}
            body, headers = json.dumps(told).encode(), {"Content-Type": "application/json"}
        elif (reference := path.removeprefix("/api/models/owner/model/tree/")) in REFERENCES:
            files = FILES[REFERENCES[reference]]
            listing = [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40} for name in files]
            body, headers = json.dumps(listing).encode(), {"Content-Type": "application/json"}
        elif path.startswith("/owner/model/resolve/"):
            reference, _, name = path.removeprefix("/owner/model/resolve/").partition("/")
            commit = REFERENCES[reference]
            body = FILES[commit][name]
            headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": commit}
        return body, headers


@pytest.fixture
def hub() -> Iterator[str]:
    with serving(ModelHub) as address:
        yield address


FIND = """\
import sys
from uae_bench.errors import UaeBenchError
from uae_bench.weights import find_folder, require_safetensors
try:
    folder = find_folder("owner/model", "", offline="something else")
    require_safetensors(folder)
    print(folder.name, *sorted(path.name for path in folder.iterdir()))
except UaeBenchError as error:
    print(type(error).__name__, error, "|", error.hint)
"""


FETCH = "import sys, huggingface_hub as hub; [hub.hf_hub_download('owner/model', name) for name in sys.argv[1:]]"


def found(endpoint: str, home: Path) -> str:
    """What a process of its own finds on a hub, or keeps of it."""
    return _printed(endpoint, home, FIND)


def fetch_by_name(endpoint: str, home: Path, *names: str) -> None:
    """What other tools do: some files of a model, one by one."""
    _printed(endpoint, home, FETCH, *names)


def _printed(endpoint: str, home: Path, code: str, *arguments: str) -> str:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_where_the_owner_has_no_safetensors_the_converters_are_taken_and_kept(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelHub, "requests", (REQUEST,))
    assert found(hub, tmp_path) == f"{CONVERTED} config.json model.safetensors"
    assert found("http://127.0.0.1:9", tmp_path) == f"{CONVERTED} config.json model.safetensors"


@pytest.mark.parametrize("change", [{"status": "closed"}, {"title": "Adding something else"}])
def test_nothing_else_is_taken_for_it_and_a_pickle_is_not_even_fetched(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    monkeypatch.setattr(ModelHub, "requests", ({**REQUEST, **change},))
    said = found(hub, tmp_path)
    assert said.startswith("BadInput") and "holds no safetensors weights | take a revision that has safetensors" in said
    assert not list(tmp_path.rglob("pytorch_model.bin"))


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's main branch as a bi-encoder comes: with a file that its transformer alone does not need."""
    monkeypatch.setitem(FILES, MAIN, {"config.json": b"{}", "model.safetensors": b"weights", "modules.json": b"[]"})


def test_what_other_tools_have_fetched_of_a_model_is_completed(hub: str, whole: None, tmp_path: Path) -> None:
    fetch_by_name(hub, tmp_path, "config.json", "model.safetensors")
    assert found(hub, tmp_path) == f"{MAIN} config.json model.safetensors modules.json"
    assert found("http://127.0.0.1:9", tmp_path) == f"{MAIN} config.json model.safetensors modules.json"


def test_where_the_hub_gives_nothing_what_is_kept_is_used(hub: str, whole: None, tmp_path: Path) -> None:
    with serving(Silent) as silent:
        assert found(silent, tmp_path).startswith("ModelUnavailable fetching 'owner/model' failed")
        fetch_by_name(hub, tmp_path, "config.json", "model.safetensors")
        assert found(silent, tmp_path) == f"{MAIN} config.json model.safetensors"
    assert found("http://127.0.0.1:9", tmp_path) == f"{MAIN} config.json model.safetensors"


class Withholding(ModelHub):
    """A hub that lists the model's files and then does not give one of them."""

    def answer(self) -> tuple[bytes, dict[str, str]]:
        return (b"", {}) if self.path.endswith("/modules.json") else super().answer()


def test_where_the_hub_withholds_a_file_what_is_kept_is_used_now_and_later(
    hub: str, whole: None, tmp_path: Path
) -> None:
    fetch_by_name(hub, tmp_path, "config.json", "model.safetensors")
    with serving(Withholding) as withholding:
        for _ in range(2):
            assert found(withholding, tmp_path) == f"{MAIN} config.json model.safetensors"
    assert found("http://127.0.0.1:9", tmp_path) == f"{MAIN} config.json model.safetensors"
