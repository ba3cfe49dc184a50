"""A result on disk: the same bytes each time, read back whole or refused by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from uae_bench.errors import BadInput
from uae_bench.result import MeasureResult, PerQuery, QueryGroups, ResultRecord, read_groups, read_record, to_json


def record(**changes: Any) -> ResultRecord:
    measure = MeasureResult(measure="AP", mean=0.5, low=0.4, high=0.6, n=4, undefined={"no evidence": 1})
    fields: dict[str, Any] = {
        "uae_bench": "0.1.0", "task": "tiny", "task_digest": "d", "split": "test", "partial": False,
        "pool": "document", "pool_digest": "p", "system": "bm25", "kind": "system", "seed": 0, "train_task": None,
        "depth": 5, "context_size": 2, "definition": "log-ratio", "queries": 5, "documents": 3,
        "effective_documents": 2.5, "settings": {"bm25": {"k1": 1.2}}, "models": {}, "prompts": {},
        "measures": (measure,), "per_query": PerQuery(file="values.parquet", digest="v"),
        "groups": PerQuery(file="groups.json", digest="g"), "artifacts": {}, "costs": {}, "notes": ("naïve 漢字",),
    }  # fmt: skip
    return ResultRecord(**{**fields, **changes})


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(to_json(record()), encoding="utf-8")
    assert read_record(path) == record()


def test_the_same_record_is_the_same_bytes_in_any_order_of_keys() -> None:
    one = record(settings={"bm25": {"k1": 1.2, "b": 0.75}})
    other = record(settings={"bm25": {"b": 0.75, "k1": 1.2}})
    assert to_json(one) == to_json(other)
    assert to_json(one).endswith("}\n")


def test_a_measure_is_found_by_its_name() -> None:
    found = record().measure("AP")
    assert found is not None
    assert found.mean == 0.5
    assert record().measure("RR") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unheard_of": 1}, "unheard_of"),
        ({"seed": "first"}, "seed"),
        ({"kind": "system of mine"}, "kind"),
        ({"schema_version": 2}, "schema_version"),
        ({"measures": [{"measure": "AP"}]}, "measures.0.mean"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_by_field(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**json.loads(to_json(record())), **change}))
    with pytest.raises(BadInput, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b'{"task": ', b"\xff\xff", b"[1]"])
def test_a_torn_record_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


def test_a_record_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_record(tmp_path / "record.json")


def test_groups_come_back_as_they_were_written(tmp_path: Path) -> None:
    groups = QueryGroups(documents={"q": "d"}, kinds={"q": "extractive"})
    (tmp_path / "groups.json").write_text(to_json(groups), encoding="utf-8")
    assert read_groups(tmp_path / "groups.json") == groups
