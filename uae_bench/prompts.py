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


def answer_of(text: str, *, reasoning: bool = False) -> str:
    """What a model answers: what stands after its last block of reasoning, nothing where that has no end. With
    `reasoning`, the prompt has begun a block. A text without reasoning is returned without the space around it.
    """
    _, end, rest = text.rpartition("</think>")
    unfinished = "<think>" in rest or (reasoning and not end)
    return "" if unfinished else rest.strip()


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
class RetrievalTemplate:
    """How a language model is asked to rank passages. Fields: `{count}` passages, `{number}`, `{text}`, `{query}`,
    `{answer}`.

    Listed passages stand between `list_head` and `list_question` (order all) or `choice_question` (name the best);
    `mark`, where there is one, stands before the end of each of their sentences, so that a model too small to count
    can quote what it found and read the number behind it. `quoted` tokens are left for such a quotation. A passage
    alone (`one`) stands before `useful_question` (did it help to an answer?) or `query_question` (which query?).
    `stop` ends what is written.
    """

    name: str
    list_head: str
    passage: str
    mark: str
    list_question: str
    choice_question: str
    one: str
    useful_question: str
    query_question: str
    quoted: int
    stop: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 over every piece."""
        pieces = (getattr(self, name) for name in self.__slots__ if name not in ("stop", "quoted"))
        return hashlib.sha256("\x00".join((*pieces, str(self.quoted), *self.stop)).encode()).hexdigest()

    def ordering(self, query: str, texts: Sequence[str]) -> str:
        """The prompt after which the model writes `[2] > [1] > ...`, the best of the numbered texts first."""
        return self._listed(query, texts) + _filled(self.list_question, {"{query}": query})

    def choosing(self, query: str, texts: Sequence[str]) -> str:
        """The prompt after which the model writes `[2]`, the number of the best of the texts."""
        return self._listed(query, texts) + _filled(self.choice_question, {"{query}": query})

    def using(self, query: str, answer: str, text: str) -> str:
        """The prompt after which the model writes Yes or No: did the text help to give the answer to the query?"""
        return _filled(self.one + self.useful_question, {"{text}": text, "{answer}": answer, "{query}": query})

    def asking(self, text: str) -> str:
        """The prompt after which a query follows that the text answers."""
        return _filled(self.one + self.query_question, {"{text}": text})

    def _listed(self, query: str, texts: Sequence[str]) -> str:
        if not texts:
            return ""
        head = _filled(self.list_head, {"{count}": str(len(texts)), "{query}": query})
        rows = ({"{number}": str(n), "{text}": self._marked(text, n)} for n, text in enumerate(texts, 1))
        return head + "".join(_filled(self.passage, row) for row in rows)

    def _marked(self, text: str, number: int) -> str:
        mark = self.mark.replace("{number}", str(number))
        if not mark:
            return text
        marked = re.sub(SENTENCE_END, lambda end: mark + end[0], text.rstrip())
        return marked if marked[:-1].endswith(mark) else marked + mark


SENTENCE_END = r"(?<!\.)[.!?](?=\s|$)"
"""Where a sentence ends; three points, where words are left out, end none."""


def _filled(piece: str, values: Mapping[str, str]) -> str:
    """All fields in one pass: what a text holds is never taken for a field."""
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], piece)


RETRIEVAL: Mapping[str, RetrievalTemplate] = {
    "plain": RetrievalTemplate(
        name="plain",
        list_head="",
        passage="Passage: {text}\n",
        mark=" [{number}]",
        list_question="Question: {query}\nBest first, by their Answer:",
        choice_question="Question: {query}\nThe best, by its Answer:",
        one="Passage: {text}\n",
        useful_question="Question: {query}\nAnswer: {answer}\nDoes the passage give this answer?",
        query_question="Question:",
        quoted=48,
        stop=("\n",),
    ),
    "instruct": RetrievalTemplate(
        name="instruct",
        list_head=(
            "Below stand {count} passages, each after its number in brackets. "
            "Judge how much each of them helps to answer this question: {query}\n\n"
        ),
        passage="[{number}] {text}\n\n",
        mark="",
        list_question=(
            "Question: {query}\nPut all the passages in order, the most helpful first. Write nothing but their "
            "numbers, every number once, in this form: [2] > [1] > [3]"
        ),
        choice_question=(
            "Question: {query}\nWhich passage helps most to answer it? Write nothing but its number, in this form: [2]"
        ),
        one="Passage: {text}\n\n",
        useful_question=(
            "Question: {query}\nA possible answer: {answer}\n"
            "Does the passage help to find or to check the answer to the question? Write Yes or No."
        ),
        query_question="Write a question that this passage answers, and nothing else.",
        quoted=0,
        stop=(),
    ),
}
"""The retrieval prompts that go with each answering template, by its name."""
