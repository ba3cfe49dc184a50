"""The nouns of the lab's world: its knobs, documents, passages and queries."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from uae_bench.errors import BadInput
from uae_bench.records import AnswerKind

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a scientist may turn. Defaults are the world of the leaderboard.

    difficulty: 0..1, probability that an answering sentence is a paraphrase and not a repetition of the query; also
        the probability that such a paraphrase describes its subject instead of naming it. 1: no answering sentence
        shares a content word with the query. The share of the paraphrases in use is min(1, 2 * difficulty).
    distractors: mean number per query of passages that repeat it, its words or its name, and state nothing, 0..4.
    noise: 0..1, share of passages in which 15 % of the words carry a typing error (words of answers are spared).
    annotation_completeness: (0..1], probability that an evidence passage is marked; at least one per query is.
    effect_size: 0..1, share of an answer's words that only evidence holds; partial passages hold the others.
    family_quirk: 0..1, share of passages that end with `wording.MARKER`, whatever their roles.
    train_documents, dev_documents, test_documents: counts.
    queries_per_document: mean number, 2..9; a document has one more or one fewer.
    """

    difficulty: float = 0.5
    distractors: float = 2.0
    noise: float = 0.1
    annotation_completeness: float = 1.0
    effect_size: float = 0.5
    family_quirk: float = 0.0
    train_documents: int = 100
    dev_documents: int = 20
    test_documents: int = 48
    queries_per_document: int = 7

    def __post_init__(self) -> None:
        for name, low, high in (
            ("difficulty", 0, 1), ("distractors", 0, 4), ("noise", 0, 1), ("annotation_completeness", 0, 1),
            ("effect_size", 0, 1), ("family_quirk", 0, 1), ("train_documents", 0, 100_000),
            ("dev_documents", 0, 100_000), ("test_documents", 0, 100_000), ("queries_per_document", 2, 9),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise BadInput(f"lab knob {name} is {value}", hint=f"a number from {low} to {high}")
        if self.annotation_completeness == 0:
            raise BadInput(
                "lab knob annotation_completeness is 0, and every query has a marked passage", hint="a share above 0"
            )


@dataclass(frozen=True, slots=True)
class LabPassage:
    id: str
    document_id: str
    section: str
    text: str


@dataclass(frozen=True, slots=True)
class LabDocument:
    id: str
    title: str
    split: Split
    passages: tuple[LabPassage, ...]


@dataclass(frozen=True, slots=True)
class LabQuery:
    """A query with the whole truth about it.

    answers: one or two references; `Unanswerable` for an unanswerable query, `Yes` or `No` for a yes/no query.
    evidence: ids of all passages that answer; marked: those of them that annotators marked. stated: for each
    evidence the half-open range of words (`text.split()`, from 0) of the sentence that answers.
    partial, distractors, twins: ids of passages in those roles. hard: only a nickname introduced elsewhere in the
    document tells evidence from twin.
    """

    id: str
    document_id: str
    text: str
    kind: AnswerKind
    relation: str
    answers: tuple[str, ...]
    evidence: tuple[str, ...]
    stated: tuple[tuple[int, int], ...]
    marked: tuple[str, ...]
    partial: tuple[str, ...]
    distractors: tuple[str, ...]
    twins: tuple[str, ...]
    hard: bool


@dataclass(frozen=True, slots=True)
class World:
    seed: int
    knobs: Knobs
    documents: tuple[LabDocument, ...]
    queries: tuple[LabQuery, ...]

    def digest(self) -> str:
        """SHA-256 of everything in the world, as canonical JSON."""
        content = json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()
