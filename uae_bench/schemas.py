"""JSON Schemas of what users and other programs read and write, for editors and validators: `docs/schemas/*.json`.

`python -m uae_bench.schemas --write` exports them; without `--write` the exported ones are checked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uae_bench.errors import CheckFailed
from uae_bench.experiment.request import Request
from uae_bench.result import LatencyRecord, QueryGroups, ResultRecord
from uae_bench.task.card import TaskCard

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"


def schemas() -> dict[str, Mapping[str, Any]]:
    """A JSON Schema (draft 2020-12) per kind of file: task-card, experiment, record, groups, latency."""
    return {
        "task-card": TaskCard.model_json_schema(),
        "experiment": _experiment(),
        "record": ResultRecord.model_json_schema(),
        "groups": QueryGroups.model_json_schema(),
        "latency": LatencyRecord.model_json_schema(),
    }


def write(folder: Path = FOLDER) -> None:
    """Write every schema as `<kind>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, schema in schemas().items():
        (folder / f"{kind}.json").write_text(_text(schema), encoding="utf-8")


def outdated(folder: Path = FOLDER) -> list[str]:
    """The kinds whose exported schema is missing or not that of the code."""
    paths = {kind: folder / f"{kind}.json" for kind in schemas()}
    return [
        kind
        for kind, schema in schemas().items()
        if not paths[kind].is_file() or paths[kind].read_text(encoding="utf-8") != _text(schema)
    ]


def main(arguments: Sequence[str]) -> None:
    """`--write` exports the schemas; without it the exported ones are checked."""
    if list(arguments) == ["--write"]:
        write()
    elif arguments:
        raise SystemExit("usage: python -m uae_bench.schemas [--write]")
    elif kinds := outdated():
        error = CheckFailed(f"docs/schemas is behind the code: {', '.join(kinds)}")
        raise SystemExit(f"{error}\npython -m uae_bench.schemas --write")


def _experiment() -> dict[str, Any]:
    """As `Request`, but `[settings.bm25] k1 = 0.9`: in TOML a dotted key is a table, which reading flattens."""
    schema = Request.model_json_schema()
    settings = schema["properties"]["settings"]
    option = settings["additionalProperties"]
    settings["additionalProperties"] = {"anyOf": [{"type": "object", "additionalProperties": option}, option]}
    return schema


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
