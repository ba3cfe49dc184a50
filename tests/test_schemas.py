"""The exported JSON Schemas are those of the code, and say of a file what reading it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uae_bench import schemas

ROOT = Path(__file__).parents[1]


def test_the_exported_schemas_are_current() -> None:
    assert schemas.outdated() == []
    assert {path.stem for path in schemas.FOLDER.glob("*.json")} == schemas.schemas().keys()


def test_a_schema_that_is_behind_the_code_is_named(tmp_path: Path) -> None:
    schemas.write(tmp_path)
    (tmp_path / "record.json").write_text("{}\n")
    (tmp_path / "groups.json").unlink()
    assert schemas.outdated(tmp_path) == ["record", "groups"]


def test_every_schema_refuses_unknown_keys_and_gives_a_type_to_every_known_one() -> None:
    for kind, schema in schemas.schemas().items():
        assert schema["additionalProperties"] is False, kind
        for name, field in schema["properties"].items():
            assert field.keys() & {"type", "$ref", "anyOf", "enum", "const", "items"}, f"{kind}.{name}"


def test_the_experiment_schema_has_tables_of_settings_as_toml_writes_them() -> None:
    settings = schemas.schemas()["experiment"]["properties"]["settings"]["additionalProperties"]["anyOf"]
    assert settings[0]["type"] == "object"
    assert settings[0]["additionalProperties"] == settings[1]


def test_formats_names_every_key_of_every_schema() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    missing = [
        f"{kind}.{key}"
        for kind, schema in schemas.schemas().items()
        for table in (schema, *schema.get("$defs", {}).values())
        for key in table.get("properties", {})
        if f"`{key}`" not in text
    ]
    assert missing == []


def test_an_unknown_argument_of_the_module_is_refused() -> None:
    with pytest.raises(SystemExit, match="usage"):
        schemas.main(["--wirte"])


def test_written_schemas_are_json_with_the_kinds_title(tmp_path: Path) -> None:
    schemas.write(tmp_path)
    titles = {path.stem: json.loads(path.read_text())["title"] for path in tmp_path.glob("*.json")}
    assert titles == {
        "task-card": "TaskCard",
        "experiment": "Request",
        "record": "ResultRecord",
        "groups": "QueryGroups",
        "latency": "LatencyRecord",
    }
