"""A result on disk: what one system did on one task, split, pool and seed.

`record.json` is deterministic: the same inputs give the same bytes, also after a kill. What a clock or a host
decides stands in `measured.json` beside it and enters no key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from uae_bench.errors import BadInput, in_plain_words

SCHEMA_VERSION: Literal[1] = 1

RECORD, MEASURED, MANIFEST, GROUPS = "record.json", "measured.json", "manifest.json", "groups.json"
"""Files of a result folder beside the values: the record, what clock and host decide, the digest of each file, and
the groups of the queries."""

TEACHER = "labels for training"
"""The role of a model whose labels a row learnt from and by which no row is measured; else it is the `scorer`."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasureResult(_Strict):
    """Mean of a measure over the queries where it is defined, with its clustered interval.

    `mean`, `low` and `high` are None where no query defines the measure; `undefined` counts queries by reason;
    `missing` of the `n` count as 0 because the generator wrote nothing for them.
    """

    measure: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    missing: int = 0
    undefined: Mapping[str, int]
    by_kind: Mapping[str, float | None] = Field(default_factory=dict)


class PerQuery(_Strict):
    """Something per query that stands in a file beside the record, and the sha256 of that file."""

    file: str
    digest: str


class QueryGroups(_Strict):
    """What queries have in common, each by query id: `documents` is what intervals resample and tests flip,
    `kinds` the kind of the answers, for queries that have one."""

    documents: Mapping[str, str]
    kinds: Mapping[str, str]


class ArtifactRef(_Strict):
    """Where a part of the result came from: the key that asked for it and the digest of what it holds."""

    stage: str
    key: str
    digest: str


class ModelRef(_Strict):
    """A model by the spec that named it, its identity (revision, weight digest ...) and its family."""

    spec: str
    identity: Mapping[str, str]
    family: str = ""


NOTHING, CUT, DECLINED = "nothing", "cut at the token limit", "declined"
"""What answers to queries are counted as that say nothing, that the limit of tokens ended, and that a vendor's model
refused to give: one answer may be several of them."""


class Cost(_Strict):
    """Model calls and tokens that a part of the result took, counted and so the same on every machine.

    `outcomes` counts the answers of a model that ranked by what they were (ok, missing, repetition, wrong format,
    nothing), `repairs` what was done about them. Of a model that answered queries, or was sampled, it counts only what
    went wrong: `nothing` (or only reasoning), `cut at the token limit`, `declined`; an answer may be several.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int = 0
    truncated_tokens: int = 0
    outcomes: Mapping[str, int] = Field(default_factory=dict)
    repairs: Mapping[str, int] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _told(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without outcomes and repairs where there are none: most models rank nothing."""
        return {name: value for name, value in whole(self).items() if value != {}}


ANSWERS = (" generations", " closed_book", " gold")
"""After a model's name, the roles of its answers to queries."""

ASKING = "asking "
"""Before the names of prompts with which a row itself asks a language model; all others judge it."""


class ResultRecord(_Strict):
    """Everything deterministic about one row: from here a stranger reaches values, run, prompt, models and code."""

    schema_version: Literal[1] = SCHEMA_VERSION
    uae_bench: str
    task: str
    task_digest: str
    split: str
    partial: bool
    pool: str
    pool_digest: str
    system: str
    kind: Literal["system", "reference", "imported"]
    seed: int
    train_task: str | None
    depth: int
    context_size: int
    definition: str
    queries: int
    documents: int
    effective_documents: float
    settings: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, ModelRef]
    prompts: Mapping[str, str]
    measures: tuple[MeasureResult, ...]
    per_query: PerQuery
    groups: PerQuery
    artifacts: Mapping[str, ArtifactRef]
    costs: Mapping[str, Cost]
    notes: tuple[str, ...]

    def measure(self, name: str) -> MeasureResult | None:
        """The result of one measure, or None where this row was not measured by it."""
        return next((result for result in self.measures if result.measure == name), None)

    def answering(self) -> list[Cost]:
        """What the answers took by which the row is judged: each model's from its passages, from none, from the
        evidence."""
        return [cost for role, cost in self.costs.items() if role.endswith(ANSWERS)]


class Times(_Strict):
    """Seconds per query over `n` queries that came one at a time: mean, and percentiles by nearest rank."""

    mean: float
    p50: float
    p95: float
    p99: float
    n: int


class SystemTimes(_Strict):
    """A system's times by stage: `encode`, `search`, `encode + search`, `rerank 1` …, `total`.

    `ratio` is its total over that of the system that the record's ratios are to, at the median, and `ratio_p95` at the
    95th percentile: both None where that system took no time that the clock could see.
    """

    system: str
    seed: int
    stages: Mapping[str, Times]
    ratio: float | None
    ratio_p95: float | None


class CorpusTimes(_Strict):
    """A first stage's `encode + search` over `rows` made-up unit vectors, searched by a faiss index of one kind.

    `recall` is the share of the exact best rows that the index finds; `added_bytes` what it added to the process.
    """

    system: str
    seed: int
    rows: int
    dimension: int
    index: Literal["flat", "hnsw", "ivf"]
    build_seconds: float
    added_bytes: int
    recall: float
    stages: Mapping[str, Times]


class BreakEven(_Strict):
    """After how many queries a trained system has paid for its labels and training against a reranker.

    In seconds, or in tokens of language models: `once` is what labels, states and training took, None where what was
    taken over from elsewhere does not tell; `own` and `other` what a query of either takes (seconds: the median,
    tokens: the mean). `queries` is None where `once` is, or where a query of the system takes no less.
    """

    system: str
    seed: int
    against: str
    unit: Literal["seconds", "tokens"]
    once: float | None
    own: float
    other: float
    queries: int | None


class LatencyRecord(_Strict):
    """What `uae-bench latency` measured: systems in turn, on the same queries and candidates, in one process.

    A query has at most `candidates` of them, all that its pool holds if that is less. `over_pool` is of first stages,
    and empty where no pool holds more than the candidates; `over_corpus` where no corpus was asked for.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    uae_bench: str
    task: str
    task_digest: str
    split: str
    pool: str
    queries: int
    candidates: int
    candidates_median: int
    candidates_least: int
    baseline: str
    over_candidates: tuple[SystemTimes, ...]
    over_pool: tuple[SystemTimes, ...]
    over_corpus: tuple[CorpusTimes, ...]
    break_even: tuple[BreakEven, ...]
    host: Mapping[str, str | int | None]
    device: str
    threads: int
    python: str
    packages: Mapping[str, str]
    command: str


def to_json(content: ResultRecord | QueryGroups | LatencyRecord) -> str:
    """A record, groups or times as canonical JSON: sorted keys, one trailing newline."""
    return json.dumps(content.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_record(path: Path) -> ResultRecord:
    """A record from disk.

    Raises:
        BadInput: the file is missing, truncated, or of another schema; the field is named.
    """
    return read_checked(path, ResultRecord, "record")


def read_groups(path: Path) -> QueryGroups:
    """Groups from disk.

    Raises:
        BadInput: as `read_record`.
    """
    return read_checked(path, QueryGroups, "query groups")


Checked = TypeVar("Checked", bound=BaseModel)


def read_checked(path: Path, schema: type[Checked], what: str) -> Checked:
    """A JSON file held against its schema; `what` names it in messages.

    Raises:
        BadInput: the file is missing, truncated, or of another schema; the field is named.
    """
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
        return schema.model_validate(fields)
    except OSError as error:
        raise BadInput(f"cannot read the {what} {path}: {error.strerror}", hint="check the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not a whole JSON file: {error}", hint="run the experiment again") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{path} is no {what} of schema {SCHEMA_VERSION}: {where}: {in_plain_words(first['msg'])}",
            hint="it was written by another version, or edited by hand; run the experiment again",
        ) from error
