"""The store: whatever is killed, torn, altered, full or shared, what it hands out is whole and made once."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.errors import BadInput, StoreError
from uae_bench.store import (
    CallCache,
    Json,
    Key,
    Store,
    canonical_json,
    digest_of,
    file_digest,
    folder_digest,
    write_atomically,
)

TASK = "a1b2c3d4" * 8
OTHER_TASK = "c3d4e5f6" * 8
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def key(stage: str = "retrieve", version: int = 1, task: str = TASK, **config: Json) -> Key:
    return Key(stage, version, config, {"task": task})


def write_two_files(folder: Path) -> None:
    (folder / "run.txt").write_text("q1 p1\n")
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(bytes(range(256)))


def never(folder: Path) -> None:
    raise AssertionError(f"{folder} was made although it is stored")


# --- values and their digests


@given(values)
def test_canonical_json_keeps_the_value_and_is_a_fixed_point(value: Json) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
    assert text.isascii()


@given(st.dictionaries(st.text(), scalars))
def test_the_order_of_a_mapping_does_not_matter(value: dict[str, Json]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_canonical_json_by_hand() -> None:
    assert (
        canonical_json({"b": (1, 1.0, True), "a": [None, "é", 1e-7]}) == r'{"a":[null,"\u00e9",1e-07],"b":[1,1.0,true]}'
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, {1: "x"}, {"x": {1, 2}}, Path("x"), b"x"])
def test_what_json_does_not_have_is_refused_with_its_place(bad: Json) -> None:
    with pytest.raises(BadInput, match=r"value\.lr\[0\]"):
        canonical_json({"lr": [bad]})


def test_a_key_has_the_same_digest_for_ever() -> None:
    # printf '%s' '{"config":{"depth":10,"k1":1.2},"inputs":{"task":"ab"},"stage":"retrieve","version":1}' | sha256sum
    expected = "13e7f15efd3738f8bbe87a3b84c2bbfbc997e95ebcf1ab16db1cf731cdaa9535"
    assert Key("retrieve", 1, {"k1": 1.2, "depth": 10}, {"task": "ab"}).digest == expected


@given(st.sampled_from(["stage", "version", "depth", "task"]))
def test_each_part_of_a_key_counts(part: str) -> None:
    changed: dict[str, Key] = {
        "stage": key("utility", depth=10),
        "version": key(version=2, depth=10),
        "depth": key(depth=11),
        "task": key(task=OTHER_TASK, depth=10),
    }
    assert changed[part].digest != key(depth=10).digest


@pytest.mark.parametrize("stage", ["", "..", "a/b", "A", "a b", "-"])
def test_a_stage_that_could_leave_the_store_is_refused(stage: str) -> None:
    with pytest.raises(BadInput, match="cannot name a stage"):
        Key(stage, 1, {}, {})


def test_a_folder_digest_is_that_of_names_and_contents(tmp_path: Path) -> None:
    write_two_files(tmp_path)
    # sha256sum of "q1 p1\n" and of the bytes 0..255
    files = {"run.txt": file_digest(tmp_path / "run.txt"), "model/weights": file_digest(tmp_path / "model" / "weights")}
    assert files["run.txt"] == "1b9ab412fc4fc965fa40ccd15295271cb74d3bc5b4a4b16f780137565ac4f795"
    assert folder_digest(tmp_path) == digest_of(files)
    os.utime(tmp_path / "run.txt", (0, 0))
    assert folder_digest(tmp_path) == digest_of(files)
    (tmp_path / "run.txt").rename(tmp_path / "ran.txt")
    assert folder_digest(tmp_path) != digest_of(files)


def test_a_link_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="is a link"):
        folder_digest(tmp_path)


# --- artifacts


def test_made_once_then_hit(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.find(key()) is None
    made = store.make(key(), write_two_files)
    hit = store.make(key(), never)
    assert (made.hit, hit.hit) == (False, True)
    assert made.digest == hit.digest == folder_digest(made.folder, without=("manifest.json",))
    assert (hit.folder / "run.txt").read_text() == "q1 p1\n"


def test_looking_creates_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert (store.find(key()), store.entries(), store.calls.get("x"), store.calls.count()) == (None, [], None, 0)
    assert store.why(key()) == "miss because it was never made here"
    assert not (tmp_path / "store").exists()


def test_two_stores_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = (Store(tmp_path / name).make(key(), write_two_files) for name in ("one", "two"))
    assert folder_digest(one.folder) == folder_digest(two.folder)  # the manifest too: no clock, no host, no path


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_ends_early_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def produce(folder: Path) -> None:
        write_two_files(folder)
        raise error

    store = Store(tmp_path)
    with pytest.raises(type(error)):
        store.make(key(), produce)
    assert store.entries() == []
    assert list((tmp_path / "artifacts" / "retrieve").iterdir()) == []
    assert not store.make(key(), write_two_files).hit


def alter(folder: Path) -> str:
    (folder / "run.txt").write_text("q1 p2\n")  # the same length: only its digest tells
    return r"run\.txt was altered"


def truncate(folder: Path) -> str:
    os.truncate(folder / "model" / "weights", 100)
    return r"model/weights was altered"


def lose(folder: Path) -> str:
    (folder / "run.txt").unlink()
    return r"run\.txt is missing"


def add(folder: Path) -> str:
    (folder / "extra").touch()
    return r"extra is not of it"


def lose_manifest(folder: Path) -> str:
    (folder / "manifest.json").unlink()
    return r"manifest\.json is missing or unreadable"


def tear_manifest(folder: Path) -> str:
    os.truncate(folder / "manifest.json", 40)
    return r"manifest\.json is missing or unreadable"


def forge_manifest(folder: Path) -> str:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["key"]["config"]["depth"] = 99
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return r"its key is not this folder's"


@pytest.mark.parametrize("harm", [alter, truncate, lose, add, lose_manifest, tear_manifest, forge_manifest])
def test_a_torn_or_altered_artifact_is_named_and_gc_mends(tmp_path: Path, harm: object) -> None:
    store = Store(tmp_path)
    folder = store.make(key(), write_two_files).folder
    whole = store.make(key(depth=5), write_two_files)
    assert callable(harm)
    with pytest.raises(StoreError, match=harm(folder)) as caught:
        store.make(key(), never)
    assert str(folder) in str(caught.value)
    assert "uae-bench cache gc" in caught.value.hint
    assert [name for name, _ in store.gc().removed] == [f"retrieve/{key().digest}"]
    assert store.find(whole.key) is not None
    assert not store.make(key(), write_two_files).hit


def test_a_producer_cannot_write_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the store's own file"):
        Store(tmp_path).make(key(), lambda folder: write_atomically(folder / "manifest.json", "{}"))


# --- kills, other processes, a full disk

MAKE_SLOWLY = """
import sys, time
from pathlib import Path
from uae_bench.store import Key, Store
store = Store(Path(sys.argv[1]))
def produce(folder):
    for batch in range(40):
        digest = f"batch-{batch}"
        if store.calls.get(digest) is None:
            with open(sys.argv[2], "a") as ledger:
                ledger.write(digest + "\\n")
            store.calls.put(digest, "model", [batch, batch / 7])
        (folder / f"{batch}.txt").write_text(str(store.calls.get(digest)))
        time.sleep(0.002)
print("ready", flush=True)
print(store.make(Key("utility", 1, {}, {}), produce).hit)
"""


def start(store: Path, ledger: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE_SLOWLY, str(store), str(ledger)], stdout=subprocess.PIPE, text=True
    )


def test_twenty_kills_repeat_no_finished_call_and_change_no_byte(tmp_path: Path) -> None:
    undisturbed = Store(tmp_path / "undisturbed")
    assert start(undisturbed.root, tmp_path / "calm").communicate()[0] == "ready\nFalse\n"
    rng, killed, store = random.Random(0), 0, Store(tmp_path / "killed")
    wanted = Key("utility", 1, {}, {})
    for _ in range(20):
        with start(store.root, tmp_path / "ledger") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        assert store.find(wanted) is None or process.returncode == 0  # nothing half-made is ever visible
    assert start(store.root, tmp_path / "ledger").wait() == 0
    assert killed >= 5
    artifacts = [each.find(wanted) for each in (undisturbed, store)]
    assert len({folder_digest(found.folder) for found in artifacts if found}) == 1
    calls = (tmp_path / "ledger").read_text().split()
    # A call is written to the ledger before it is stored: a kill between the two is the only way to see one twice.
    assert set(calls) == {f"batch-{batch}" for batch in range(40)}
    assert len(calls) <= 40 + killed
    assert store.calls.count() == 40
    assert store.gc().removed == ()


def test_of_two_processes_one_makes_and_the_other_waits_and_hits(tmp_path: Path) -> None:
    both = [start(tmp_path / "store", tmp_path / "ledger") for _ in range(2)]
    assert sorted(process.communicate()[0] for process in both) == ["ready\nFalse\n", "ready\nTrue\n"]
    assert len((tmp_path / "ledger").read_text().split()) == 40


def test_gc_leaves_alone_what_another_process_is_making(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def produce(folder: Path) -> None:
        write_two_files(folder)
        assert store.gc().removed == ()

    assert not store.make(key(), produce).hit
    abandoned = tmp_path / "artifacts" / "retrieve" / ("0" * 64 + ".work")
    abandoned.mkdir()
    assert store.gc().removed == ((f"retrieve/{abandoned.name}", "unfinished"),)
    assert not abandoned.exists()


FILL = """
import resource, signal, sys
from pathlib import Path
from uae_bench.errors import StoreError
from uae_bench.store import Key, Store, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
root = Path(sys.argv[1])
store = Store(root)
big = "x" * 100_000
for attempt in (
    lambda: store.make(Key("read", 1, {}, {}), lambda folder: (folder / "big").write_text(big) and None),
    lambda: write_atomically(root / "record.json", big),
    lambda: store.calls.put("digest", "model", [big]),
):
    try:
        attempt()
    except StoreError as error:
        assert str(root) in str(error) and error.hint, error
        print("refused")
"""


def test_a_full_disk_names_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    write_atomically(tmp_path / "record.json", "old")
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * 3
    store = Store(tmp_path)
    assert (store.entries(), store.calls.get("digest"), store.calls.count()) == ([], None, 0)
    assert (tmp_path / "record.json").read_text() == "old"
    assert not list(tmp_path.rglob("*.part")) + list(tmp_path.rglob("*.work"))


def test_no_space_left_is_a_store_error_that_keeps_its_cause(tmp_path: Path) -> None:
    def produce(folder: Path) -> None:
        with Path("/dev/full").open("w") as device:  # the kernel's own ENOSPC
            device.write("x")

    with pytest.raises(StoreError, match=r"the disk is full .*No space left") as caught:
        Store(tmp_path).make(key(), produce)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("error", [OSError("200000 requested and 38384 written"), RuntimeError("unexpected pos 576")])
def test_a_writer_that_loses_the_reason_is_understood_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def produce(folder: Path) -> None:
        raise error  # numpy's and torch's words on a full disk

    with pytest.raises(type(error)):
        Store(tmp_path).make(key(), produce)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(StoreError, match="the disk is full"):
        Store(tmp_path).make(key(), produce)


def test_a_user_file_that_cannot_be_read_is_not_blamed_on_the_store(tmp_path: Path) -> None:
    def produce(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere/else.json")

    with pytest.raises(PermissionError):
        Store(tmp_path).make(key(), produce)


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="a file stands where a folder should be"):
        Store(tmp_path / "store").make(key(), write_two_files)


def test_write_atomically_replaces_whole_and_survives_a_torn_predecessor(tmp_path: Path) -> None:
    target = tmp_path / "new" / "record.json"
    write_atomically(target, "é")
    (target.parent / ".record.json.part").write_text("left by a kill")
    write_atomically(target, b"\x00\x01")
    assert [path.name for path in target.parent.iterdir()] == ["record.json"]
    assert target.read_bytes() == b"\x00\x01"


# --- what is there, why not, and away with it


def test_why_spells_out_a_few_differences_changed_values_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(key(a=1, b=1, c=1, depth=1), write_two_files)
    why = store.why(key(e=1, f=1, depth=2))
    assert why.startswith("miss because config.depth changed 1→2, config.a is gone (was 1), config.b is gone (was 1), ")
    assert ", 3 more differences since retrieve/" in why


def test_why_names_the_nearest_difference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(key(depth=10, k1=1.2), write_two_files)
    store.make(key(version=3, task=OTHER_TASK, depth=99), write_two_files)
    near = key(depth=10, k1=1.2).digest[:8]
    assert (
        store.why(key(task=OTHER_TASK, depth=10, k1=1.2))
        == f"miss because inputs.task changed a1b2c3d4→c3d4e5f6 since retrieve/{near}"
    )
    assert (
        store.why(key(depth=10, stemmer="none"))
        == f"miss because config.k1 is gone (was 1.2), config.stemmer is new (none) since retrieve/{near}"
    )
    assert store.why(key("utility")) == "miss because it was never made here"


def test_why_looks_only_at_what_was_made_under_the_same_label(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make(key(system="dense", depth=10), write_two_files, "retrieve dense")
    assert store.why(key(system="bm25", depth=10), "retrieve bm25") == "miss because it was never made here"
    assert store.why(key(system="dense", depth=50), "retrieve dense").startswith(
        "miss because config.depth changed 10→50"
    )
    assert [entry.label for entry in store.entries()] == ["retrieve dense"]


def test_entries_tell_size_age_and_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.make(key(depth=10), write_two_files).folder
    os.utime(folder / "manifest.json", (1000, 1000))
    os.utime(folder, (2000, 2000))
    (entry,) = store.entries()
    manifest = (folder / "manifest.json").stat().st_size
    assert (entry.stage, entry.digest, entry.bytes) == ("retrieve", key(depth=10).digest, 6 + 256 + manifest)
    assert (entry.created, entry.last_used, entry.key, entry.fault) == (1000, 2000, key(depth=10).to_json(), "")
    store.find(key(depth=10))
    assert store.entries()[0].last_used > 2000


def test_gc_by_age_and_by_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folders = [store.make(key(depth=depth), write_two_files).folder for depth in (1, 2, 3)]
    now = time.time()
    for folder, days in zip(folders, (30, 2, 1), strict=True):
        os.utime(folder, (now - days * 86_400,) * 2)
    assert store.gc().removed == ()
    report = store.gc(older_than=7 * 86_400)
    assert report.removed == ((f"retrieve/{key(depth=1).digest}", "not used for long"),)
    size = store.entries()[0].bytes
    assert report.bytes == size
    assert [name for name, _ in store.gc(max_bytes=size).removed] == [f"retrieve/{key(depth=2).digest}"]
    assert [entry.digest for entry in store.entries()] == [key(depth=3).digest]


# --- export and import


def exported(tmp_path: Path) -> Path:
    store = Store(tmp_path / "one")
    store.make(key(depth=1), write_two_files)
    store.make(key(depth=2), write_two_files)
    store.export([entry.digest for entry in store.entries()], tmp_path / "store.tar")
    return tmp_path / "store.tar"


def test_exported_and_imported_elsewhere_hits(tmp_path: Path) -> None:
    archive, other = exported(tmp_path), Store(tmp_path / "two")
    assert len(other.import_(archive)) == len(other.import_(archive)) == 2
    assert other.make(key(depth=1), never).hit
    other.export([key(depth=2).digest[:12], f"retrieve/{key(depth=1).digest[:8]}"], tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()
    assert not (other.root / "import.work").exists()


def test_an_unknown_digest_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no artifact's key begins with 'ffff'"):
        Store(tmp_path).export(["ffff"], tmp_path / "store.tar")


def forged(archive: Path, changes: Mapping[str, bytes]) -> Path:
    """The archive with members of these names (their last part) changed."""
    with tarfile.open(archive) as old, tarfile.open(archive.with_suffix(".forged"), "w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = changes.get(Path(member.name).name, stream.read())
            member.size = len(content)
            with (archive.parent / "content").open("wb+") as buffer:
                buffer.write(content)
                buffer.seek(0)
                new.addfile(member, buffer)
    return archive.with_suffix(".forged")


def test_an_archive_whose_content_was_altered_is_refused_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "two")
    with pytest.raises(BadInput, match=r"run\.txt was altered"):
        store.import_(forged(exported(tmp_path), {"run.txt": b"q1 p9\n"}))
    assert store.entries() == []


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "retrieve/x", f"retrieve/{'0' * 64}/../../../evil", f"Bad/{'0' * 64}/x"]
)
def test_no_member_of_an_archive_leaves_the_store(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(BadInput, match="is no file of an artifact"):
        Store(tmp_path / "deep" / "store").import_(tmp_path / "evil.tar")
    assert not list(tmp_path.rglob("evil"))


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo(f"retrieve/{'0' * 64}/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(link)
    with pytest.raises(BadInput, match="is no file of an artifact"):
        Store(tmp_path / "store").import_(tmp_path / "evil.tar")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6])  # 0.5: between the two artifacts
def test_a_torn_archive_is_refused(tmp_path: Path, share: float) -> None:
    archive = exported(tmp_path)
    with tarfile.open(archive) as tar:
        halfway = tar.getmembers()[3].offset
    os.truncate(archive, halfway if share == 0.5 else int(share * archive.stat().st_size))
    with pytest.raises(BadInput, match="is no whole tar archive"):
        Store(tmp_path / "two").import_(archive)
    assert Store(tmp_path / "two").entries() == []


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no whole tar archive: Is a directory"):
        Store(tmp_path / "two").import_(tmp_path)


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no archive .*nowhere\.tar"):
        Store(tmp_path / "two").import_(tmp_path / "nowhere.tar")


# --- model calls


def test_calls_are_kept_across_stores_and_the_first_answer_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.calls.put("d", "lab:llama", [{"logprob": -1.5, "tokens": 3}, None])
    store.calls.put("d", "lab:llama", ["later"])
    store.calls.close()
    again = Store(tmp_path)
    assert again.calls.get("d") == [{"logprob": -1.5, "tokens": 3}, None]
    assert (again.calls.get("e"), again.calls.count()) == (None, 1)
    again.calls.close()


def test_altered_results_are_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.calls.put("d", "m", [-1.5])
    store.calls.close()
    path = store.calls.path
    path.write_bytes(path.read_bytes().replace(b"[-1.5]", b"[-0.5]"))
    with pytest.raises(StoreError, match=r"batch d .* were altered"):
        store.calls.get("d")
    store.calls.close()


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be told from an empty one" * 40, None])
def test_a_broken_call_cache_is_named_with_the_fix(tmp_path: Path, content: bytes | None) -> None:
    store = Store(tmp_path)
    if content is None:
        store.calls.path.mkdir()
    else:
        store.calls.path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot use the call cache .*calls\.sqlite") as caught:
        store.calls.get("d")
    assert caught.value.hint


def test_a_call_cache_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(cache: CallCache) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
        raise error

    monkeypatch.setattr(CallCache, "_open", refuse)
    with pytest.raises(StoreError, match=r"calls\.sqlite: disk I/O error"):
        Store(tmp_path).calls.put("d", "m", [1])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(StoreError, match="the disk is full") as caught:
        Store(tmp_path).calls.put("d", "m", [1])
    assert "free space" in caught.value.hint


def test_nan_never_enters_the_call_cache(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nan"):
        Store(tmp_path).calls.put("d", "m", [math.nan])


def test_importing_the_store_is_light() -> None:
    heavy = {"torch", "pandas", "numpy", "pyarrow", "pydantic"}
    code = f"import uae_bench.store, sys; assert not {heavy!r} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
