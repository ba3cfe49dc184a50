"""Weights are identified by content, and read again only when they changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uae_bench import weights
from uae_bench.errors import ModelUnavailable


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
