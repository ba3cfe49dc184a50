"""Whatever stands at any place of a file: a reader answers, or refuses with an error that a user can act on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.task.parts import card_of, question, squad, write_json, write_jsonl
from uae_bench.errors import BadInput
from uae_bench.task.task import assembled, read_raw

ANSWER = {"unanswerable": False, "extractive_spans": ["a"], "free_form_answer": "", "yes_no": None, "evidence": ["x"]}
QASPER = {"p": {
    "full_text": [{"section_name": "S", "paragraphs": ["x", ""]}],
    "qas": [{"question": "?", "question_id": "q", "answers": [{"answer": ANSWER}]}],
}}  # fmt: skip
COLUMNAR = {
    "id": "p",
    "full_text": {"section_name": ["S"], "paragraphs": [["x", ""]]},
    "qas": {"question": ["?"], "question_id": ["q"], "answers": [{"answer": [ANSWER]}]},
}
NEWSQA = {"data": [{"text": "a b", "type": "train", "questions": [{"q": "?", "consensus": {"s": 0, "e": 1}}]}]}
MRQA = {"context": "a b", "qas": [{"qid": "q", "question": "?", "detected_answers": [{"char_spans": [[0, 0]]}]}]}
PASSAGE = {"id": "p", "text": "x", "document_id": "d"}
QUERY = {"id": "q", "text": "?", "answers": [{"text": "x", "kind": "extractive", "evidence": ["p"]}], "split": "test"}
BEIR = {"_id": "p", "text": "x", "title": "t", "metadata": {"document_id": "d"}}


def places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, the whole included."""
    yield place
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield from places(value, (*place, key))


def with_change(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """The content with one place replaced."""
    if not place:
        return value
    changed = copy.deepcopy(content)
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed


def folder_of(write: Callable[[Path, Any], Path], *fixed: tuple[str, Any]) -> Callable[[Path, Any], Path]:
    """A writer of the changed file among fixed ones; the reader is given the folder."""

    def write_all(path: Path, content: Any) -> Path:
        for name, rows in fixed:
            write_jsonl(path.parent / name, rows)
        (path.parent / "qrels").mkdir(exist_ok=True)
        (path.parent / "qrels" / "test.tsv").write_text("q\tp\t1\n")
        write(path, content)
        return path.parent

    return write_all


def one_line(path: Path, content: Any) -> Path:
    return write_jsonl(path, [content])


SQUAD = squad({"context": "a b", "document_id": 1, "qas": [question("q", ("a", 0))]})

LAYOUTS: dict[str, tuple[str, str, Any, Callable[[Path, Any], Path]]] = {
    "squad": ("squad", "a.json", SQUAD, write_json),
    "qasper": ("qasper", "a.json", QASPER, write_json),
    "qasper-columnar": ("qasper", "a.jsonl", COLUMNAR, one_line),
    "newsqa": ("newsqa", "a.json", NEWSQA, write_json),
    "mrqa": ("newsqa", "a.jsonl", MRQA, one_line),
    "jsonl-passages": ("jsonl", "passages.jsonl", PASSAGE, folder_of(one_line, ("queries.jsonl", [QUERY]))),
    "jsonl-queries": ("jsonl", "queries.jsonl", QUERY, folder_of(one_line, ("passages.jsonl", [PASSAGE]))),
    "beir-corpus": ("beir", "corpus.jsonl", BEIR, folder_of(one_line, ("queries.jsonl", [{"_id": "q", "text": "?"}]))),
    "beir-queries": ("beir", "queries.jsonl", {**BEIR, "_id": "q"}, folder_of(one_line, ("corpus.jsonl", [BEIR]))),
}  # fmt: skip

JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(st.characters(), max_size=4)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_reader_answers_or_refuses(layout: str, data: st.DataObject, tmp_path: Path) -> None:
    reader, name, content, write = LAYOUTS[layout]
    place = data.draw(st.sampled_from(list(places(content))))
    changed = with_change(content, place, data.draw(JSON))
    card = card_of(reader)
    try:
        raw = read_raw(card, write(tmp_path / name, changed))
        if not raw.problems:
            json.dumps(assembled(card, raw).digest)
    except BadInput as error:
        assert error.hint
