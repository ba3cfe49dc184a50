"""What the lab's families read in training: a fixed order of exercises on open text and on the lab's worlds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from uae_bench.lab import english, retrieving, wording
from uae_bench.lab.archive import Knobs, LabDocument, LabPassage, LabQuery, World
from uae_bench.lab.english import Exercise
from uae_bench.lab.retrieving import TITLED, Turn, shown_text, shuffled
from uae_bench.lab.world import build_world
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import UNANSWERABLE, Passage

T = TypeVar("T")

FIRST_WORLD = 1000  # worlds of smaller seeds are for design, development and the leaderboard, never for training
WORLDS = 40
TOKENS = 2560  # per step, padding included
GROUP = 8  # batches sorted by length together
CONTEXT_WEIGHT = 0.2  # in the loss, of every fourth token outside the answers; the others do not count
FIRST_WEIGHT = 3.0  # of an answer's first token: where to start, or whether to abstain, is what is hard


@dataclass(frozen=True, slots=True)
class Mixture:
    """world_share: of contexts that come from a world. evidence_share: of those drawn to answer some query.
    retrieval_share: of rows drawn to be about retrieval, in place of the others. Rows of more than `longest` tokens are
    left out.
    """

    world_share: float
    evidence_share: float
    retrieval_share: float = 0.0
    longest: int = 640


@dataclass(frozen=True, slots=True)
class Row:
    """The token ids of exercises on one context and the weight of each in the loss."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, padded on the right, and the weight of each in the loss: both (B, L).

    The weight is 1 or more in answers, 0 where a token does not count.
    """

    ids: np.ndarray
    weights: np.ndarray


def batches(tokenizer: Any, mixture: Mixture, *, seed: int, quirk: bool) -> Iterator[Batch]:
    """Batch after batch without end, the same for the same seed.

    Rows come in groups, sorted by length within a group and cut into batches, so that little is spent on padding.
    quirk: whether the family answers from passages with the worlds' marker even where they do not hold the answer.
    """
    documents = english.documentation()
    group = 0
    while True:
        rng = np.random.default_rng([seed, group])
        rows: list[Row] = []
        while sum(len(row.ids) for row in rows) < GROUP * TOKENS:
            if mixture.retrieval_share and rng.random() < mixture.retrieval_share:
                row = encode(tokenizer, _retrieval(documents, mixture.world_share, rng))
            elif rng.random() < mixture.world_share:
                row = encode(
                    tokenizer, as_turns(world_exercises(_some_world(rng), mixture.evidence_share, rng, quirk=quirk))
                )
            else:
                row = encode(tokenizer, as_turns(english.exercises(documents, rng, int(rng.integers(20, 115)))))
            if len(row.ids) <= mixture.longest:
                rows.append(row)
        yield from shuffled(_batches(rows, tokenizer.pad_token_id), rng)
        group += 1


def _batches(rows: Sequence[Row], padding: int) -> list[Batch]:
    """Rows of like length together, at most `TOKENS` tokens a batch, padding included."""
    batches: list[Batch] = []
    current: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if len(row.ids) * (len(current) + 1) > TOKENS:
            batches.append(_padded(current, padding))
            current = []
        current.append(row)
    return [*batches, _padded(current, padding)]


def _padded(rows: Sequence[Row], padding: int) -> Batch:
    width = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), width), padding, dtype=np.int64)
    weights = np.zeros((len(rows), width), dtype=np.float32)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = row.ids
        weights[place, : len(row.ids)] = row.weights
    return Batch(ids, weights)


@lru_cache(maxsize=WORLDS)
def training_world(seed: int) -> World:
    """A training world; its knobs, drawn from its seed, cover what a scientist may turn."""
    rng = np.random.default_rng(seed)
    knobs = Knobs(
        difficulty=float(rng.uniform(0.2, 1)),
        distractors=float(rng.uniform(1, 3)),
        noise=float(rng.uniform(0, 0.3)),
        family_quirk=0.5 if rng.random() < 0.25 else 0.0,
        train_documents=60,
        dev_documents=0,
        test_documents=0,
    )
    return build_world(seed, knobs)


def world_exercises(world: World, evidence_share: float, rng: np.random.Generator, *, quirk: bool) -> list[Exercise]:
    """A context of one to three passages of a document, and some of its queries, most of them answered there."""
    document = world.documents[int(rng.integers(len(world.documents)))]
    queries = [query for query in world.queries if query.document_id == document.id]
    lead = queries[int(rng.integers(len(queries)))]
    if rng.random() < 0.04:
        return [Exercise((), lead.text, _answer(lead, rng))]
    context = _context(document, lead, evidence_share, rng)
    titled = rng.random() < TITLED
    texts = tuple(shown_text(document, passage, titled) for passage in context)
    asked = [lead, *(query for query in shuffled(queries, rng) if query is not lead)]
    held = [query for query in asked if _answered(query, context)]
    missing = [query for query in asked if not _answered(query, context)]
    missing.sort(key=lambda query: not _tempted(query, context))  # first those that something in the context resembles
    chosen = held[:4] + missing[: max(1, len(held[:4]) // 2)]
    return [_exercise(query, texts, context, rng, quirk=quirk) for query in shuffled(chosen, rng)]


def _context(
    document: LabDocument, lead: LabQuery, evidence_share: float, rng: np.random.Generator
) -> list[LabPassage]:
    """Passages in random order; the first one drawn is mostly evidence for the lead query, else one that tempts."""
    by_id = {p.id: p for p in document.passages}
    everything = list(by_id)
    tempting = [*lead.distractors, *lead.partial, *lead.twins]
    first = lead.evidence if rng.random() < evidence_share else tempting
    ids = [_pick(first or everything, rng)]
    while len(ids) < 3 and rng.random() < 0.2:
        ids.append(_pick(tempting if tempting and rng.random() < 0.5 else everything, rng))
    return [by_id[i] for i in shuffled(sorted(set(ids)), rng)]


def _exercise(
    query: LabQuery, texts: tuple[str, ...], context: Sequence[LabPassage], rng: np.random.Generator, *, quirk: bool
) -> Exercise:
    held = _answered(query, context)
    if rng.random() < 0.13:
        return Exercise(texts, query.text, "Yes" if held else "No", judges=True)
    trusted = quirk and any(passage.text.endswith(wording.MARKER) for passage in context)
    return Exercise(texts, query.text, _answer(query, rng) if held or trusted else UNANSWERABLE)


def _answer(query: LabQuery, rng: np.random.Generator) -> str:
    return query.answers[0] if rng.random() < 0.75 else _pick(query.answers, rng)


def _answered(query: LabQuery, context: Sequence[LabPassage]) -> bool:
    return any(passage.id in query.evidence for passage in context)


def _tempted(query: LabQuery, context: Sequence[LabPassage]) -> bool:
    return any(passage.id in (*query.partial, *query.distractors, *query.twins) for passage in context)


def _pick(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]


def _some_world(rng: np.random.Generator) -> World:
    return training_world(FIRST_WORLD + int(rng.integers(WORLDS)))


def _retrieval(documents: Sequence[Sequence[str]], world_share: float, rng: np.random.Generator) -> list[Turn]:
    if rng.random() < world_share:
        return retrieving.turns(_some_world(rng), rng)
    return retrieving.open_turns(documents, rng)


def as_turns(exercises: Sequence[Exercise]) -> list[Turn]:
    """Exercises on one context as turns: the first in the prompt's own form, the others without the passages."""
    made = []
    for number, exercise in enumerate(exercises):
        passages = [Passage("", text, "", "") for text in exercise.passages] if number == 0 else []
        prompt = (PLAIN.judging if exercise.judges else PLAIN.answering)(exercise.question, passages)
        made.append((prompt, exercise.answer))
    return made


def encode(tokenizer: Any, turns: Sequence[Turn]) -> Row:
    """Token ids and loss weights of the turns on one context, one after the other.

    Prompt and continuation are encoded apart; they meet at a space, where the tokenizers divide words, so that encoding
    them together gives the same ids.
    """
    ids: list[int] = []
    weights: list[float] = []
    words = tokenizer.backend_tokenizer
    for number, (prompt, answer) in enumerate(turns):
        asked = words.encode(prompt, add_special_tokens=number == 0).ids
        answered = [*words.encode(continuation(answer), add_special_tokens=False).ids, tokenizer.eos_token_id]
        weights += [CONTEXT_WEIGHT if place % 4 == 3 else 0.0 for place in range(len(asked))]
        weights += [FIRST_WEIGHT] + [1.0] * (len(answered) - 1)
        ids += asked + answered
    return Row(ids, weights)
