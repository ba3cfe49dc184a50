"""Answers of language models, kept as they come: one SQLite file, one transaction per planned batch."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from uae_bench.errors import StoreError
from uae_bench.store.digests import Json, canonical_json
from uae_bench.store.files import is_full

_SCHEMA = 1
_CREATE = """
CREATE TABLE IF NOT EXISTS calls (
    digest TEXT PRIMARY KEY, model TEXT NOT NULL, results TEXT NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID
"""
BUSY_SECONDS = 60.0


class CallCache:
    """Results of planned batches by digest; safe to kill and to share between processes of one machine.

    The file is made by the first `put`. A connection belongs to the thread that opened it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def get(self, digest: str) -> list[Json] | None:
        """The results stored for a batch, or None.

        Raises:
            StoreError: the file is no database, or the stored results are not what was written.
        """
        if self._connection is None and not self.path.exists():
            return None
        with self._explained():
            row = self._open().execute("SELECT results, sha256 FROM calls WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            return None
        text, written = row
        if _sha256(text) != written:
            raise StoreError(f"the results of batch {digest} in {self.path} were altered", hint=self._remedy())
        return cast(list[Json], json.loads(text))

    def put(self, digest: str, model: str, results: Sequence[Json]) -> None:
        """Store the results of a batch in one transaction; what is already there under that digest stays.

        Raises:
            StoreError: the disk is full, the file is no database, or it stays locked for a minute.
            BadInput: a result holds nan or something that JSON does not have.
        """
        text = canonical_json(list(results))
        with self._explained():
            connection = self._open()
            with connection:
                connection.execute(
                    "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?)", (digest, model, text, _sha256(text))
                )

    def count(self) -> int:
        """Number of batches stored."""
        if self._connection is None and not self.path.exists():
            return 0
        with self._explained():
            return int(self._open().execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a batch can cost minutes; a sync costs milliseconds
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if schema not in (0, _SCHEMA):
            raise StoreError(
                f"{self.path} has schema {schema}; this version reads {_SCHEMA}",
                hint="use the version that wrote it, or another store",
            )
        if schema == 0:
            with connection:
                connection.execute(_CREATE)
                connection.execute(f"PRAGMA user_version = {_SCHEMA}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            name = getattr(error, "sqlite_errorname", "")
            full = name.startswith("SQLITE_IOERR") and is_full(self.path)  # SQLite's files beside its own say only this
            reason = f"the disk is full ({error})" if full else str(error)
            remedy = self._remedy("SQLITE_FULL" if full else name)
            raise StoreError(f"cannot use the call cache {self.path}: {reason}", hint=remedy) from error

    def _remedy(self, name: str = "") -> str:
        match name:
            case "SQLITE_FULL":
                return "free space there and run the same command again; every finished batch is kept"
            case "SQLITE_BUSY":
                return "another process has held it for a minute; wait for that one to end"
            case "SQLITE_NOTADB" | "SQLITE_CORRUPT" | "":
                return f"delete {self.path} (and -wal, -shm): finished artifacts stay, unfinished calls are made again"
        return "the folder must be on a local disk with free space, and writable"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
