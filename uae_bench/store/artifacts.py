"""Content-addressed artifacts: found by key, made once, checked by digest whenever they are used."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from uae_bench.errors import BadInput
from uae_bench.progress import SILENT, Progress
from uae_bench.store import archive
from uae_bench.store.calls import CallCache
from uae_bench.store.digests import Json
from uae_bench.store.files import explained, lock, lock_if_free, sync
from uae_bench.store.key import Key, differences
from uae_bench.store.manifest import MANIFEST, fault_of, read_manifest, torn, verified_manifest, write_manifest

TOLD = 3
"""How many differences between two keys are spelled out."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A whole, verified artifact.

    `digest` is that of its content (file names and bytes, without the manifest): what the next stage's key takes
    as input, so that an unchanged result stops a change from spreading. `hit` is False where this call made it.
    """

    key: Key
    folder: Path
    digest: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the store's contents. `digest` is the key's; sizes in bytes, times in seconds since 1970.

    `label` says in words what it was made as. `key` is None and `fault` says why where the artifact is torn.
    """

    stage: str
    digest: str
    bytes: int
    created: float
    last_used: float
    key: Mapping[str, Json] | None
    label: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class GcReport:
    """What was removed, as (stage/digest, reason), and how many bytes that freed."""

    removed: tuple[tuple[str, str], ...]
    bytes: int


class Store:
    """A folder of artifacts and model calls that any number of processes may use at once.

    Nothing is created before the first `make` or `calls.put`.
    """

    def __init__(self, root: Path, *, progress: Progress = SILENT) -> None:
        self.root = root
        self.calls = CallCache(root / "calls.sqlite")
        self._progress = progress

    def find(self, key: Key) -> Artifact | None:
        """The stored artifact of a key, verified, or None.

        Raises:
            StoreError: what is stored is torn or was altered; the message names the file.
        """
        folder = self._folder(key.stage, key.digest)
        if not folder.exists():
            return None
        manifest = verified_manifest(folder)
        # A store may be shared read-only; the time of last use only serves `gc`.
        with suppress(OSError):
            os.utime(folder)
        return Artifact(key, folder, manifest["digest"], hit=True)

    def make(self, key: Key, produce: Callable[[Path], None], label: str = "") -> Artifact:
        """The artifact of a key; where there is none, `produce` fills an empty folder with it first.

        `label` says in words what is made; it is kept beside the key, so that people recognise it.

        Of two processes that want the same key the second waits and then hits. Whatever ends `produce` early, an
        interrupt too, leaves nothing visible.

        Raises:
            StoreError: what is stored is torn or altered, or the disk is full; whatever `produce` raises.
        """
        found = self.find(key)
        if found is not None:
            return found
        with self._locked(key.stage, key.digest):
            found = self.find(key)  # another process may have finished it while this one waited
            if found is not None:
                return found
            work = self._work(key.stage, key.digest)
            with _cleared(work), explained(work.parent):
                work.mkdir(parents=True)
                produce(work)
                digest = write_manifest(work, key, label)
                self._appear(work, self._folder(key.stage, key.digest))
        return Artifact(key, self._folder(key.stage, key.digest), digest, hit=False)

    def entries(self) -> list[Entry]:
        """All artifacts, finished or torn, by stage and digest. Sizes are checked, contents are not (see `gc`)."""
        return [_entry(folder) for folder in self._folders() if folder.suffix == ""]

    def why(self, key: Key, label: str = "") -> str:
        """Why there is no artifact of a key: "miss because inputs.task changed a1b2c3d4→c3d4e5f6 since retrieve/0f3a…".

        A key is held against what was made under the same label: how it differs from anything else explains nothing.
        """
        made = [entry for entry in self.entries() if (entry.stage, entry.label) == (key.stage, label)]
        stored = [entry for entry in made if entry.key is not None]
        if not stored:
            return "miss because it was never made here"
        changes = {entry.digest: differences(key, Key.from_json(entry.key or {})) for entry in stored}
        nearest = min(stored, key=lambda entry: (len(changes[entry.digest]), -entry.last_used, entry.digest))
        # what has another value says more than what only one of two components has
        told = sorted(changes[nearest.digest], key=lambda change: " changed " not in change)
        more = [f"{len(told) - TOLD} more differences"] if len(told) > TOLD + 1 else told[TOLD:]
        return f"miss because {', '.join([*told[:TOLD], *more])} since {key.stage}/{nearest.digest[:8]}"

    def gc(self, *, older_than: float | None = None, max_bytes: int | None = None) -> GcReport:
        """Remove unfinished work, torn and altered artifacts, and on request more.

        `older_than`: also what was last used more than so many seconds ago; `max_bytes`: then also the least
        recently used ones, until the rest fits. What another process is making is left alone.
        """
        doomed = [(folder, "unfinished") for folder in self._folders() if folder.suffix == ".work"]
        whole = []
        for entry in self.entries():
            folder = self._folder(entry.stage, entry.digest)
            fault = entry.fault or fault_of(folder)
            if fault:
                doomed.append((folder, fault))
            elif older_than is not None and time.time() - entry.last_used > older_than:
                doomed.append((folder, "not used for long"))
            else:
                whole.append(entry)
        if max_bytes is not None:
            doomed += [(self._folder(entry.stage, entry.digest), "too much") for entry in _excess(whole, max_bytes)]
        return self._remove(doomed)

    def entry(self, digest: str) -> Entry:
        """The artifact whose key's digest begins so; `stage/digest`, as `why` writes it, is understood.

        Raises:
            BadInput: no artifact, or several, begin so.
        """
        beginning = digest.rpartition("/")[2]
        matches = [entry for entry in self.entries() if beginning and entry.digest.startswith(beginning)]
        if len(matches) != 1:
            what = f"{len(matches)} artifacts' keys begin" if matches else "no artifact's key begins"
            raise BadInput(f"{what} with {digest!r}", hint="uae-bench cache ls shows them")
        return matches[0]

    def export(self, digests: Iterable[str], path: Path) -> None:
        """Write the artifacts with these key digests (or unambiguous beginnings) as a tar, the same bytes each time.

        Raises:
            BadInput: no artifact, or several, begin with a digest. StoreError: one is torn, or the disk is full.
        """
        chosen = [self.entry(digest) for digest in digests]
        folders = sorted({self._folder(one.stage, one.digest) for one in chosen})
        for folder in folders:
            verified_manifest(folder)
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            archive.pack(self.root / "artifacts", folders, path)

    def import_(self, path: Path) -> list[Entry]:
        """Take over the artifacts of an exported archive, each verified by hash before it becomes visible.

        Raises:
            BadInput: no such archive, a torn one, a name that would leave the store, or content that does not fit its
                digest; nothing is taken over then.
        """
        incoming = self.root / "import.work"
        with self._locked("import", "import"), _cleared(incoming), explained(self.root):
            archive.unpack(path, incoming)
            folders = [folder for stage in sorted(incoming.iterdir()) for folder in sorted(stage.iterdir())]
            for folder in folders:
                _verify_incoming(folder, path)
            return [self._adopt(folder) for folder in folders]

    def _folder(self, stage: str, digest: str) -> Path:
        return self.root / "artifacts" / stage / digest

    def _work(self, stage: str, digest: str) -> Path:
        return self.root / "artifacts" / stage / f"{digest}.work"

    def _folders(self) -> Iterator[Path]:
        """Artifact and work folders."""
        yield from sorted(path for path in (self.root / "artifacts").glob("*/*") if path.is_dir())
        yield from self.root.glob("import.work")

    @contextmanager
    def _locked(self, stage: str, digest: str) -> Iterator[None]:
        with explained(self.root):
            path = self._lock_file(digest)
        short = f"{stage}/{digest[:8]}"
        with lock(path, lambda: self._progress.note(f"another process is making {short}; waiting for it")):
            yield

    def _lock_file(self, digest: str) -> Path:
        path = self.root / "locks" / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def _adopt(self, folder: Path) -> Entry:
        stage, digest = folder.parent.name, folder.name
        final = self._folder(stage, digest)
        with self._locked(stage, digest):
            if not final.exists():
                self._appear(folder, final)
        return _entry(final)

    def _appear(self, work: Path, final: Path) -> None:
        """Force a finished folder to the disk, then give it its name."""
        for path in [work, *work.rglob("*")]:
            sync(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        work.rename(final)
        sync(final.parent)

    def _remove(self, doomed: Iterable[tuple[Path, str]]) -> GcReport:
        removed, freed = [], 0
        for folder, reason in doomed:
            with lock_if_free(self._lock_file(folder.name.removesuffix(".work"))) as free:
                if free and folder.exists():
                    freed += _bytes(folder)
                    hidden = folder.with_suffix(".work")  # a kill in the middle must not leave a torn artifact
                    folder.rename(hidden)
                    shutil.rmtree(hidden)
                    removed.append((f"{folder.parent.name}/{folder.name}", reason))
        return GcReport(tuple(removed), freed)


def _entry(folder: Path) -> Entry:
    fault = torn(folder)
    used = folder.stat().st_mtime
    created = used if fault else (folder / MANIFEST).stat().st_mtime
    manifest = {} if fault else read_manifest(folder)
    key, label = manifest.get("key"), manifest.get("label", "")
    return Entry(folder.parent.name, folder.name, _bytes(folder), created, used, key, label, fault)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _excess(entries: Iterable[Entry], max_bytes: int) -> Iterator[Entry]:
    """The least recently used entries beyond the most recent `max_bytes`."""
    total = 0
    for entry in sorted(entries, key=lambda entry: (-entry.last_used, entry.digest)):
        total += entry.bytes
        if total > max_bytes:
            yield entry


def _verify_incoming(folder: Path, path: Path) -> None:
    fault = fault_of(folder)
    if fault:
        raise BadInput(f"{path} holds {folder.parent.name}/{folder.name}, but {fault}", hint="export it once more")


@contextmanager
def _cleared(work: Path) -> Iterator[None]:
    """Remove what an earlier kill left of a work folder, and what remains of it afterwards."""
    shutil.rmtree(work, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(work, ignore_errors=True)
