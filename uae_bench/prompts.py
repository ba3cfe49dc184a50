"""What a language model is shown. A prompt is a value with a name and a digest; both enter every key made with it.

Passages come first: one passage's keys and values then serve every query of its document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class RankingTemplate:
    """How a language model is asked to rank. Fields: `{count}` passages, `{number}`, `{text}`, `{query}`, `{answer}`.

    `list_head`, each passage, then `list_question` (order all) or `choice_question` (name the best); `useful` asks of
    one passage whether it helped to an answer; `query_head` and the passage stand before a query whose likelihood is
    wanted. `stop` ends what is written.
    """

    name: str
    list_head: str
    passage: str
    list_question: str
    choice_question: str
    useful: str
    query_head: str
    query_question: str
    stop: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 over every piece."""
        pieces = tuple(getattr(self, name) for name in self.__slots__ if name != "stop")
        return hashlib.sha256("\x00".join((*pieces, *self.stop)).encode()).hexdigest()

    def ordering(self, query: str, texts: Sequence[str]) -> str:
        """The prompt after which the model writes `[2] > [1] > ...`, the best of the numbered texts first."""
        return self._listed(query, texts) + self.list_question.replace("{query}", query)

    def choosing(self, query: str, texts: Sequence[str]) -> str:
        """The prompt after which the model writes `[2]`, the number of the best of the texts."""
        return self._listed(query, texts) + self.choice_question.replace("{query}", query)

    def using(self, query: str, answer: str, text: str) -> str:
        """The prompt after which the model writes Yes or No: did the text help to give the answer to the query?"""
        return self._fill(self.useful, {"{text}": text, "{answer}": answer, "{query}": query})

    def asking(self, text: str) -> str:
        """The prompt after which a query follows that the text answers."""
        return self.query_head.replace("{text}", text) + self.query_question

    def _listed(self, query: str, texts: Sequence[str]) -> str:
        head = self._fill(self.list_head, {"{count}": str(len(texts)), "{query}": query})
        rows = (self._fill(self.passage, {"{number}": str(n), "{text}": text}) for n, text in enumerate(texts, 1))
        return head + "".join(rows)

    @staticmethod
    def _fill(piece: str, values: Mapping[str, str]) -> str:
        """All fields in one pass: what a text holds is never taken for a field."""
        return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], piece)


RANKING: Mapping[str, RankingTemplate] = {
    "plain": RankingTemplate(
        name="plain",
        list_head="",
        passage="Passage [{number}]: {text}\n",
        list_question="Question: {query}\nBest first:",
        choice_question="Question: {query}\nBest passage:",
        useful="Passage: {text}\nQuestion: {query}\nAnswer: {answer}\nDoes the passage give this answer?",
        query_head="Passage: {text}\n",
        query_question="Question:",
        stop=("\n",),
    ),
    "instruct": RankingTemplate(
        name="instruct",
        list_head=(
            "Below stand {count} passages, each after its number in brackets. "
            "Judge how much each of them helps to answer this question: {query}\n\n"
        ),
        passage="[{number}] {text}\n\n",
        list_question=(
            "Question: {query}\nPut all the passages in order, the most helpful first. Write nothing but their "
            "numbers, every number once, in this form: [2] > [1] > [3]"
        ),
        choice_question=(
            "Question: {query}\nWhich passage helps most to answer it? Write nothing but its number, in this form: [2]"
        ),
        useful=(
            "Passage: {text}\n\nQuestion: {query}\nA possible answer: {answer}\n"
            "Does the passage help to find or to check the answer to the question? Write Yes or No."
        ),
        query_head="Passage: {text}\n\n",
        query_question="Write a question that this passage answers, and nothing else.",
        stop=(),
    ),
}
"""The ranking prompts that go with each answering template, by its name."""
