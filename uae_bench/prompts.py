"""What a language model is shown. A prompt is a value with a name and a digest; both enter every key made with it.

Passages come first: one passage's keys and values then serve every query of its document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from uae_bench.records import Passage


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """Pieces that are joined in order: instruction, each passage, query. `{text}` and `{query}` are the only fields."""

    name: str
    instruction: str
    passage: str
    answer: str
    judge: str

    @property
    def digest(self) -> str:
        """sha256 over every piece: another wording is another prompt."""
        pieces = (self.name, self.instruction, self.passage, self.answer, self.judge)
        return hashlib.sha256("\x00".join(pieces).encode()).hexdigest()

    def answering(self, query: str, passages: Sequence[Passage]) -> str:
        """The prompt after which the model writes the answer; without passages, the closed-book prompt."""
        return self._head(passages) + self.answer.replace("{query}", query)

    def judging(self, query: str, passages: Sequence[Passage]) -> str:
        """The prompt after which the model writes Yes or No: does the passage answer the query?"""
        return self._head(passages) + self.judge.replace("{query}", query)

    def _head(self, passages: Sequence[Passage]) -> str:
        return self.instruction + "".join(self.passage.replace("{text}", shown(passage)) for passage in passages)


def shown(passage: Passage) -> str:
    """A passage as models and encoders read it: its title, where it has one, then its text."""
    return f"{passage.title}: {passage.text}" if passage.title else passage.text


def continuation(answer: str) -> str:
    """An answer as it follows a prompt that ends without a space."""
    return " " + answer.strip()


PLAIN = PromptTemplate(
    name="plain",
    instruction="",
    passage="Passage: {text}\n",
    answer="Question: {query}\nAnswer:",
    judge="Question: {query}\nDoes the passage answer the question?",
)

INSTRUCT = PromptTemplate(
    name="instruct",
    instruction=(
        "Answer the question from the passages alone and as briefly as you can: a phrase copied from them, "
        "Yes or No, or a short sentence. Write Unanswerable where they do not hold the answer.\n\n"
    ),
    passage="Passage: {text}\n\n",
    answer="Question: {query}\nAnswer:",
    judge="Question: {query}\nDoes the passage answer the question? Write Yes or No.",
)
