"""What the lab's families read shares no run of thirteen words with a scored corpus, nor with the lab's questions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from uae_bench.lab import curriculum, english
from uae_bench.lab.archive import Knobs, World
from uae_bench.lab.world import build_world

RUN = 13
WORD = re.compile(r"\w+")


def runs(text: str) -> set[int]:
    """Hashes of all runs of thirteen words, case and punctuation aside."""
    words = WORD.findall(text.lower())
    return {hash(tuple(words[start : start + RUN])) for start in range(len(words) - RUN + 1)}


def strings(node: object) -> Iterator[str]:
    """Every string anywhere in parsed JSON."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def corpus_texts(file: Path) -> Iterator[str]:
    lines = (
        file.read_text(encoding="utf-8").splitlines() if file.suffix == ".jsonl" else [file.read_text(encoding="utf-8")]
    )
    for line in lines:
        yield from strings(json.loads(line))


def training_runs() -> set[int]:
    """All documentation, and a sample of the exercises made of it and of the training worlds."""
    documents = english.documentation()
    found = set().union(*(runs(" ".join(document)) for document in documents))
    rng = np.random.default_rng(0)
    world = curriculum.training_world(curriculum.FIRST_WORLD)
    for _ in range(300):
        for exercise in [
            *english.exercises(documents, rng, 110),
            *curriculum.world_exercises(world, 0.75, rng, quirk=True),
        ]:
            for text in (*exercise.passages, exercise.question, exercise.answer):
                found |= runs(text)
    return found


def test_a_shared_run_of_thirteen_words_would_be_seen() -> None:
    thirteen = "one two three four five six seven eight nine ten eleven twelve thirteen"
    assert runs(f"zero {thirteen}, fourteen") & runs(f"({thirteen.upper()})")
    assert not runs(thirteen) & runs(thirteen.replace("seven", "7"))


def test_training_text_shares_no_run_of_thirteen_words_with_a_scored_corpus(data_folder: Path) -> None:
    read = training_runs()
    assert len(read) > 100_000
    files = sorted(file for file in data_folder.rglob("*") if file.suffix in {".json", ".jsonl"})
    assert {file.parent.name for file in files} >= {"covidqa", "qasper", "qasper-evidence", "scifact", "xquad"}
    shared = {
        f"{file.parent.name}/{file.name}": text[:200]
        for file in files
        for text in corpus_texts(file)
        if not read.isdisjoint(runs(text))
    }
    assert shared == {}


def test_the_labs_scored_world_shares_sentences_with_the_training_worlds_but_no_question_and_hardly_an_answer() -> None:
    # one generator writes both, so that whole sentences recur; what is asked and what answers it must not
    read: set[int] = set()
    for seed in range(curriculum.FIRST_WORLD, curriculum.FIRST_WORLD + 4):
        world = curriculum.training_world(seed)
        for text in (*(passage.text for told in world.documents for passage in told.passages), *asked(world)):
            read |= runs(text)
    scored = build_world(100, Knobs())
    assert read.isdisjoint(set().union(*map(runs, asked(scored))))
    texts = {passage.id: passage.text for told in scored.documents for passage in told.passages}
    spans = [query for query in scored.queries if query.kind == "extractive"]
    known = [
        query.id
        for query in spans
        if any(not read.isdisjoint(around(texts[passage], query.answers)) for passage in query.evidence)
    ]
    assert len(spans) > 500
    assert len(known) < 0.01 * len(spans)


def asked(world: World) -> list[str]:
    return [query.text for query in world.queries]


def around(text: str, answers: Iterable[str]) -> set[int]:
    """Hashes of the runs of thirteen words that hold one of the answers."""
    words = WORD.findall(text.lower())
    found = set()
    for answer in map(WORD.findall, map(str.lower, answers)):
        for at in range(len(words) - len(answer) + 1):
            if words[at : at + len(answer)] == answer:
                first = max(0, at + len(answer) - RUN)
                found |= {hash(tuple(words[start : start + RUN])) for start in range(first, at + 1)}
    return found
