"""A card for a user's own data: layout recognised, splits drawn by hash, the sha256 of each file computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uae_bench.errors import BadInput
from uae_bench.store import write_atomically
from uae_bench.task.card import TaskCard, parse_card, read_card, safe_name, ships
from uae_bench.task.files import file_digest, find
from uae_bench.task.readers import READERS
from uae_bench.task.readers.raw import RawTask
from uae_bench.task.reading import read_csv, read_json, read_jsonl
from uae_bench.task.splitting import DEFAULT_SHARES
from uae_bench.task.task import assembled, read_raw

CSV_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "query", "q"),
    "answer": ("answer", "answers", "reference", "a"),
    "context": ("context", "text", "passage", "document_text"),
    "id": ("id", "question_id", "query_id", "qid"),
    "document": ("document", "document_id", "doc_id", "title"),
}
"""Column names that are recognised without being named, per option of the CSV reader."""

ANSWER_MEASURES = (
    "Success@1", "Success@5", "R@5", "nDCG@10", "AP", "RR", "ExpUtil@1", "uNDCG@10", "TokenF1", "EM", "Lift", "Harm",
)  # fmt: skip
LAPTOP_REWARD = {
    "reward_model": "lab:lfm2",
    "reward_min_gap": 0.5,
    "reward_batch": 32,
    "reward_epochs": 24,
    "reward_evaluations": 1,
    "reward_patience": 24,
    "reward_head_learning_rate": 4e-3,
    "reward_weight_decay": 0.3,
}
"""A head on a small language model. Dev chooses its weights, since it may learn nothing on data that nobody knows; the
trainers' own defaults are the paper's."""
LAPTOP_SETTINGS = {
    "uae": {"mode": "adapter", **LAPTOP_REWARD},
    "infonce": {"mode": "adapter", **LAPTOP_REWARD},
    "uae-direct": {"mode": "adapter"},
}
"""Trains within minutes on two cores with no model but the encoder and the one that labels."""
TOLD_PROBLEMS = 20
"""How many problems of unusable data are told; there is no card yet by which `task check` could tell them all."""
RANKING_MEASURES = ("nDCG@10", "R@10", "R@100", "AP", "RR", "Success@1")


def new_card(
    name: str, source: Path, folder: Path, *, columns: Mapping[str, str] | None = None, seed: int = 0
) -> tuple[Path, TaskCard]:
    """Write `folder/NAME.toml`, a card that works at once, for data that stays where it is.

    `columns` names the columns of a CSV (question, answer, context, id, document) where their names are not the usual
    ones; `seed` is that of the 70/10/20 split by document hash. The card is returned with its path.

    Raises:
        BadInput: the name cannot name a folder or is a shipped task's, the card exists, the layout is not recognised or
            the data unusable. StoreError: the card cannot be written.
    """
    if name != safe_name(name):
        raise BadInput(f"{name!r} cannot name a task", hint=f"use letters, digits, '.', '_', '-': {safe_name(name)}")
    path = folder / f"{name}.toml"
    if path.exists():
        raise BadInput(f"the card {path} exists", hint="choose another name, or remove the card first")
    if ships(name):
        raise BadInput(f"{name!r} is a task that ships with uae-bench", hint="choose another name")
    content = _content(name, source, columns or {}, seed)
    raw = read_raw(parse_card(content, str(path)), None)
    _refuse_problems(source, raw)
    content["splits"] = _splits(raw)
    task = assembled(parse_card(content, str(path)), raw)
    asked_about = {query.document_id for query in task.queries.values()}
    content["pool"] = "document" if asked_about <= task.documents.keys() else "corpus"
    content["has_answers"] = task.has_answers
    content["measures"] = list(ANSWER_MEASURES if task.has_answers else RANKING_MEASURES)
    content["depth"] = 50 if task.has_answers else 100  # as far as the measures look
    if not task.has_answers:  # nothing to label, to write or to learn from
        for field in ("scorer", "generator", "held_out", "settings"):
            content.pop(field, None)
    found = find(Path(content["data"]), READERS[content["reader"]])
    content["files"] = {role: {"sha256": file_digest(file)} for role, file in found.items()}
    content["data"] = _relative(source, folder)
    write_card(path, content)
    return path, read_card(path)


def detect(source: Path) -> str:
    """The reader for a file or folder: beir, csv, jsonl, newsqa, qasper or squad.

    Raises:
        BadInput: nothing there, or no layout that a reader knows.
    """
    if source.is_dir():
        names = {path.name.removesuffix(".gz") for path in source.iterdir()}
        if {"corpus.jsonl", "queries.jsonl"} <= names:
            return "beir"
        if {"passages.jsonl", "queries.jsonl"} <= names:
            return "jsonl"
        candidates = sorted(
            path for path in source.iterdir() if path.suffix in (".json", ".csv", ".parquet", ".gz", ".jsonl")
        )
        layouts = {detect(path) for path in candidates}
        if len(layouts) == 1:
            return layouts.pop()
        found = ", ".join(sorted(layouts)) or "no data file"
        raise BadInput(f"the folder {source} shows no layout by itself ({found})", hint=_EXPECTED)
    if not source.is_file():
        raise BadInput(f"there is no file or folder {source}", hint="check the path given with --from")
    return _detect_file(source)


def to_toml(content: Mapping[str, Any]) -> str:
    """A table as TOML: scalars and arrays first, then its tables, in the order given."""
    return "\n".join(_lines(content, ())) + "\n"


_EXPECTED = (
    "known: SQuAD JSON; QASPER JSON, JSONL or Parquet; NewsQA's combined JSON or CSV, or MRQA JSONL; a CSV with a "
    "question per row; a BEIR folder (corpus.jsonl, queries.jsonl, qrels/); passages.jsonl and queries.jsonl"
)


def _detect_file(path: Path) -> str:
    suffixes = path.suffixes
    if ".parquet" in suffixes:
        return "qasper"
    if ".csv" in suffixes:
        _, row = next(read_csv(path), ("", {}))
        return "newsqa" if "answer_char_ranges" in row else "csv"
    if ".jsonl" in suffixes:
        raw = RawTask()
        first = next((entry for _, entry in read_jsonl(path, raw)), {})
        if raw.problems:
            raise BadInput(str(raw.problems[0]), hint="get the whole file again")
        if "header" in first or "detected_answers" in json.dumps(first):
            return "newsqa"
        if {"full_text", "qas"} <= first.keys():
            return "qasper"
        raise BadInput(f"{path} is JSONL of no known layout (keys {', '.join(first)})", hint=_EXPECTED)
    return _detect_json(path, read_json(path))


def _detect_json(path: Path, content: Any) -> str:
    data = content.get("data") if isinstance(content, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    if isinstance(first, dict) and "paragraphs" in first:
        return "squad"
    if isinstance(first, dict) and "questions" in first:
        return "newsqa"
    if isinstance(content, dict) and any(isinstance(one, dict) and "full_text" in one for one in content.values()):
        return "qasper"
    raise BadInput(f"{path} is JSON of no known layout", hint=_EXPECTED)


def _content(name: str, source: Path, columns: Mapping[str, str], seed: int) -> dict[str, Any]:
    """The card's table with what can be told before the data is read; `data` is absolute."""
    reader = detect(source)
    if columns and reader != "csv":
        raise BadInput(f"columns are named, but {source} is read as {reader}, not as CSV", hint="leave them out")
    return {
        "name": name,
        "title": f"{name}, from {source.name}",
        "license": "not stated",
        "reader": reader,
        "data": str(source.expanduser().resolve()),
        "split_seed": seed,
        "pool": "document",
        "depth": 50,
        "context_size": 3,
        "encoder": "minilm",
        "scorer": "lab:lfm2",
        "generator": "lab:lfm2",
        "held_out": ["lab:llama", "lab:neox"],
        "settings": LAPTOP_SETTINGS,
        "options": _csv_options(source, columns) if reader == "csv" else {},
        "splits": {split: dict(drawn) for split, drawn in DEFAULT_SHARES.items()},
    }


def _refuse_problems(source: Path, raw: RawTask) -> None:
    """Nothing where the data is sound; BadInput with a problem per line where it is not."""
    if not raw.problems:
        return
    told = [f"{one.where}: {one.what}" for one in raw.problems[:TOLD_PROBLEMS]]
    if len(raw.problems) == 1:
        raise BadInput(told[0], hint=raw.problems[0].fix)
    first = f"{source} has {len(raw.problems)} problems"
    first += f", the first {TOLD_PROBLEMS} of them:" if len(raw.problems) > TOLD_PROBLEMS else ":"
    fixes = dict.fromkeys(one.fix for one in raw.problems[:TOLD_PROBLEMS])
    raise BadInput("\n  ".join([first, *told]), hint="; ".join(fixes))


def _splits(raw: RawTask) -> dict[str, dict[str, Any]]:
    """The splits that the files assign, where one is for testing; else 70/10/20 by document hash."""
    if "test" in raw.splits and raw.splits.keys() <= DEFAULT_SHARES.keys():
        return {split: {"use": split} for split in DEFAULT_SHARES if split in raw.splits}
    return {split: dict(drawn) for split, drawn in DEFAULT_SHARES.items()}


def _csv_options(source: Path, columns: Mapping[str, str]) -> dict[str, str]:
    _, row = next(read_csv(source), ("", {}))
    if not row:
        raise BadInput(f"{source} has no row below its header", hint="name a file that holds questions")
    unknown = sorted(columns.keys() - CSV_COLUMNS.keys())
    if unknown:
        raise BadInput(f"{unknown[0]!r} is no column to name", hint=f"known: {', '.join(CSV_COLUMNS)}")
    lower = {name.lower(): name for name in row}
    options = {}
    for option, usual in CSV_COLUMNS.items():
        found = columns.get(option) or next((lower[name] for name in usual if name in lower), None)
        if found:
            options[option] = found
        elif option in ("question", "answer", "context"):
            raise BadInput(
                f"{source} has no column that is the {option} (columns: {', '.join(row)})",
                hint=f"name it: {option}=COLUMN",
            )
    return options


def _relative(source: Path, folder: Path) -> str:
    """`source` as seen from the card's folder where it lies below it, else absolute."""
    resolved, home = source.expanduser().resolve(), folder.resolve()
    return str(resolved.relative_to(home)) if resolved.is_relative_to(home) else str(resolved)


def write_card(path: Path, content: Mapping[str, Any]) -> None:
    """Write a card's table, empty tables and unset keys left out.

    Raises:
        StoreError: the folder or file cannot be written.
    """
    write_atomically(path, to_toml({key: value for key, value in content.items() if value not in (None, {}, "")}))


def _lines(table: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner = (*place, _key(key))
            body = _lines(value, inner)
            simple = not value or any(not isinstance(one, Mapping) for one in value.values())
            lines += ["", f"[{'.'.join(inner)}]", *body] if simple else body
    return lines


def _key(text: str) -> str:
    return text if text.replace("-", "").replace("_", "").isalnum() and text.isascii() else _value(text)


def _value(value: Any) -> str:
    """JSON's strings, numbers, booleans and arrays of them are TOML's, but that TOML wants DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
