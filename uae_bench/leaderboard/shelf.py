"""Where published results lie:

* `records/<task>/<system>-seed<n>-<key>.json`   the record, byte for byte as its run wrote it
* `records/<task>/<the same name>.sha256`        its digest, as `sha256sum` writes it
* `per_query/<task>/<the same name>.parquet`     the values per query behind its means
* `per_query/<task>/groups-<digest>.json`        document and answer kind of each query, shared by a split's results
* `measured/<task>/<the same name>.json`         clock and host, outside the deterministic promise
* `<task>.md`                                    the page, made from the files above
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import runs
from uae_bench.errors import BadInput
from uae_bench.records import Value
from uae_bench.result import ASKING, ModelRef, QueryGroups, ResultRecord, read_checked, read_groups, read_record
from uae_bench.store import file_digest
from uae_bench.task.card import safe_name

RECORDS, PER_QUERY, MEASUREMENTS = "records", "per_query", "measured"
EVALUATE = "evaluate"
SHOWN_DIGEST = 12
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Measured(BaseModel):
    # Stages measure what they see fit, so a key that no page shows is dropped, not refused.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Percentiles(_Measured):
    """Seconds per query over `n` timed queries."""

    p50: float
    p95: float
    p99: float
    n: int


class StageTime(_Measured):
    """Seconds that a stage took when its artifact was made."""

    seconds: float | None = None


class Host(_Measured):
    """The machine; its kernel and distribution are left out."""

    machine: str
    processor: str
    cores: int | None


class Measurements(_Measured):
    """What clock and host decided about a result: the part of `measured.json` that a board keeps."""

    command: str
    device: str
    host: Host
    python: str
    packages: Mapping[str, str]
    stages: Mapping[str, StageTime]
    latency: Mapping[str, Percentiles] = Field(default_factory=dict)
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One published result. Its files are named by its record, relative to the boards' folder, with slashes."""

    boards: Path
    record: ResultRecord

    @property
    def name(self) -> str:
        """System, seed, and the start of the key that its evaluation was asked by."""
        key = self.record.artifacts[EVALUATE].key[:8]
        return f"{safe_name(self.record.system)}-seed{self.record.seed}-{key}"

    @property
    def record_file(self) -> str:
        return f"{RECORDS}/{safe_name(self.record.task)}/{self.name}.json"

    @property
    def digest_file(self) -> str:
        return f"{RECORDS}/{safe_name(self.record.task)}/{self.name}.sha256"

    @property
    def values_file(self) -> str:
        return f"{PER_QUERY}/{safe_name(self.record.task)}/{self.name}.parquet"

    @property
    def groups_file(self) -> str:
        return f"{PER_QUERY}/{safe_name(self.record.task)}/groups-{self.record.groups.digest[:SHOWN_DIGEST]}.json"

    @property
    def measured_file(self) -> str:
        return f"{MEASUREMENTS}/{safe_name(self.record.task)}/{self.name}.json"

    def digest(self) -> str:
        """What `digest_file` holds: the sha256 of the record as it lies here, and its name."""
        return f"{file_digest(self.boards / self.record_file)}  {self.name}.json\n"

    def values(self) -> list[Value]:
        """Its values per query."""
        return runs.read_values(self.boards / self.values_file)

    def groups(self) -> QueryGroups:
        """The document and answer kind of each of its queries."""
        return read_groups(self.boards / self.groups_file)

    def measured(self) -> Measurements:
        """What clock and host decided."""
        return read_measured(self.boards / self.measured_file)


def read_measured(path: Path) -> Measurements:
    """Measurements from disk.

    Raises:
        BadInput: the file is missing, truncated, or of another schema.
    """
    return read_checked(path, Measurements, "file of measurements")


def entries(boards: Path) -> list[Entry]:
    """Every published result, by path.

    Raises:
        BadInput: there are none, or a record is torn, altered beyond its schema, or not where its name says.
    """
    paths = sorted((boards / RECORDS).glob("*/*.json"))
    if not paths:
        raise BadInput(f"{boards} holds no records", hint="promote results first: uae-bench leaderboard add runs")
    found = []
    for path in paths:
        entry = Entry(boards, checked_record(path))
        if boards / entry.record_file != path:
            raise BadInput(f"{path} holds the record of {entry.record_file}", hint="add the result again")
        found.append(entry)
    return found


def by_task(published: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Results apart by task."""
    tasks: dict[str, list[Entry]] = {}
    for entry in published:
        tasks.setdefault(entry.record.task, []).append(entry)
    return tasks


def page_file(task: str) -> str:
    """The page of a task; README.md stays free."""
    name = safe_name(task)
    return f"task-{name}.md" if name.lower() == "readme" else f"{name}.md"


def checked_record(path: Path) -> ResultRecord:
    """A record whose digests may name files.

    Raises:
        BadInput: no record, or one without the key of its evaluation, or with a digest that is none.
    """
    record = read_record(path)
    if EVALUATE not in record.artifacts:
        raise BadInput(f"{path} names no evaluation", hint="run the experiment again")
    for digest in (record.artifacts[EVALUATE].key, record.per_query.digest, record.groups.digest):
        if not _DIGEST.fullmatch(digest):
            raise BadInput(f"{path}: {digest!r} is no sha256", hint="run the experiment again")
    return record


def judge(record: ResultRecord, role: str) -> ModelRef | None:
    """The language model that was `scorer` or `generator` of a result; None where no model was asked."""
    return next((ref for roles, ref in record.models.items() if role in roles.split(" and ")), None)


def comparability(record: ResultRecord) -> dict[str, Any]:
    """What two results must share to stand in one table, by name; models by spec and identity."""
    facts: dict[str, Any] = {
        "split": record.split,
        "pool": record.pool,
        "task": record.task_digest[:SHOWN_DIGEST],
        "pools": record.pool_digest[:SHOWN_DIGEST],
        "queries": record.groups.digest[:SHOWN_DIGEST],
        "depth": record.depth,
        "context size": record.context_size,
        "definition": record.definition,
    }
    for role in ("scorer", "generator"):
        model = judge(record, role)
        facts[role] = model.spec if model else None
        facts |= {f"{role} {name}": value for name, value in (model.identity if model else {}).items()}
    judging = {name: digest for name, digest in record.prompts.items() if not name.startswith(ASKING)}
    return facts | {f"prompt {name}": digest[:SHOWN_DIGEST] for name, digest in judging.items()}


def configuration(record: ResultRecord) -> dict[str, Any]:
    """What makes a row another row: the system, where it was trained, its settings and models; the seed is left out."""
    facts: dict[str, Any] = {"system": record.system, "kind": record.kind, "trained on": record.train_task}
    for component, options in record.settings.items():
        facts |= {f"{component}.{name}": value for name, value in options.items()}
    for role, model in record.models.items():
        facts[role] = model.spec
        facts |= {f"{role} {name}": value for name, value in model.identity.items()}
    asking = {name: digest for name, digest in record.prompts.items() if name.startswith(ASKING)}
    return facts | {f"prompt {name}": digest[:SHOWN_DIGEST] for name, digest in asking.items()}
