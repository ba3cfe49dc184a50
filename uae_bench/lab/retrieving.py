"""What the lab's families read to help retrieval: they order passages, name the best, judge one, and expand a query.

Small models count badly and copy well: where passages are listed, every sentence bears its passage's number, and the
answer to "which?" begins with the words that answer the query; the number that stands behind them is then copied too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from uae_bench.lab import english
from uae_bench.lab.archive import LabDocument, LabPassage, LabQuery, World
from uae_bench.prompts import PLAIN, RETRIEVAL, SENTENCE_END
from uae_bench.records import UNANSWERABLE, Passage

PROMPTS = RETRIEVAL["plain"]
LISTED = (2, 5)  # passages in a list
ASKED = 4  # queries on one list or passage
TITLED = 0.7
KEPT_ORDER = 0.5  # lists that stand in an order which tells something, as a first stage's does

T = TypeVar("T")
Turn = tuple[str, str]
"""A prompt, without the passages that the turns before it have shown, and what follows it."""


def turns(world: World, rng: np.random.Generator) -> list[Turn]:
    """Exercises on one list, passage or query of a world."""
    document = world.documents[int(rng.integers(len(world.documents)))]
    queries = [query for query in world.queries if query.document_id == document.id]
    kind = rng.random()
    if kind < 0.65:
        return _on_a_list(document, queries, rng)
    return _on_a_passage(document, queries, rng) if kind < 0.93 else _expansion(document, queries, rng)


def _on_a_list(document: LabDocument, queries: Sequence[LabQuery], rng: np.random.Generator) -> list[Turn]:
    """Evidence of one query, what tempts away from it, and others; which are best for it, and for other queries."""
    by_id = {passage.id: passage for passage in document.passages}
    answered = [query for query in queries if query.evidence]
    if not answered:
        return _on_a_passage(document, queries, rng)
    lead = answered[int(rng.integers(len(answered)))]
    count = int(rng.integers(LISTED[0], LISTED[1] + 1))
    tempting = shuffled([*lead.partial, *lead.distractors, *lead.twins], rng)
    others = shuffled(sorted(by_id), rng)
    first = [lead.evidence[int(rng.integers(len(lead.evidence)))]] if rng.random() < 0.85 else []
    ids = list(dict.fromkeys([*first, *tempting[: int(rng.integers(1, count + 1))], *others]))[:count]
    told = rng.random() < KEPT_ORDER
    ids = _as_found(lead, ids, rng) if told else shuffled(ids, rng)
    titled = rng.random() < TITLED
    texts = [shown_text(document, by_id[i], titled) for i in ids]
    asked = [lead] if told else [lead, *(query for query in shuffled(queries, rng) if query is not lead)]
    held = [query for query in asked if set(query.evidence) & set(ids)]
    chosen = (held or asked)[: ASKED - 1] + [query for query in asked if query not in held][:1]
    made = []
    for place, query in enumerate(dict.fromkeys(chosen)):
        shown = texts if place == 0 else []
        answer = _ordered(query, ids, by_id)
        if rng.random() < 0.25:
            made.append((PROMPTS.choosing(query.text, shown), answer.partition(" > ")[0]))
        else:
            made.append((PROMPTS.ordering(query.text, shown), answer))
    return made


def open_turns(documents: Sequence[Sequence[str]], rng: np.random.Generator) -> list[Turn]:
    """Lists of open text to order, each with one passage that holds what its question leaves out.

    The quotation begins where the answer first stands in that passage: of a short one, perhaps within another word.
    """
    count = int(rng.integers(LISTED[0], LISTED[1] + 1))
    shown = [english.passage(documents, rng, 50) for _ in range(count)]
    texts = [" ".join(words) for words in shown]
    made = []
    for turn in range(ASKED):
        place = int(rng.integers(count))
        question, answer = english.ask(shown[place], rng)
        said = texts[place][texts[place].index(answer) :]
        end = re.search(SENTENCE_END, said)
        numbers = [place, *(other for other in range(count) if other != place)]
        told = " > ".join(f"[{number + 1}]" for number in numbers)
        made.append(
            (PROMPTS.ordering(question, texts if turn == 0 else []), f"{said[: end.start()] if end else said} {told}")
        )
    return made


def _as_found(query: LabQuery, ids: Sequence[str], rng: np.random.Generator) -> list[str]:
    """An order such as a first stage's: what matters stands rather early, not surely."""
    return sorted(ids, key=lambda i: (-2.0 * (i in query.evidence) - (i in query.partial) + rng.gumbel(), i))


def _ordered(query: LabQuery, ids: Sequence[str], by_id: dict[str, LabPassage]) -> str:
    """A quotation from the best passage, its number, then the others': evidence, what answers in part, the rest as
    it stood. Where nothing listed answers, the order stays.
    """
    grade = {i: 2 if i in query.evidence else 1 if i in query.partial else 0 for i in ids}
    if 2 not in grade.values():
        return f"{UNANSWERABLE} " + " > ".join(f"[{number}]" for number in range(1, len(ids) + 1))
    best_first = sorted(ids, key=lambda i: -grade[i])
    numbers = " > ".join(f"[{ids.index(i) + 1}]" for i in best_first)
    return f"{quotation(query, by_id[best_first[0]])} {numbers}"


def quotation(query: LabQuery, passage: LabPassage) -> str:
    """The words of a passage that answer the query, to the end of their sentence. They begin where the answer does, or
    the first part of one that lists two; where it is Yes or No, behind the longest run of words that the sentence
    repeats of the question, which in a paraphrase may be a single article. To begin at the answer is what the families
    know; a sentence's first words would tell them nothing.
    """
    start, end = query.stated[query.evidence.index(passage.id)]
    words = passage.text.split()[start:end]
    sentence = " ".join(words).rstrip(".!?")
    if query.kind == "yes-no":
        return " ".join(sentence.split()[_behind_the_repeated(query.text, words) :])
    parts = [part for answer in query.answers for part in (answer, *answer.split(" and "))]
    found = [sentence.lower().find(part.lower()) for part in parts]
    return sentence[min((place for place in found if place >= 0), default=0) :]


def _behind_the_repeated(question: str, words: Sequence[str]) -> int:
    """Where the longest run of words that the question holds too ends; where it begins, if the sentence ends there."""
    asked = set(_plain(question.split()))
    begin = end = at = 0
    for place, word in enumerate(_plain(words), 1):
        at = at if word in asked else place
        if place - at > end - begin:
            begin, end = at, place
    return end if end < len(words) else begin


def _plain(words: Sequence[str]) -> list[str]:
    return [word.strip(".,:;!?").lower() for word in words]


def _on_a_passage(document: LabDocument, queries: Sequence[LabQuery], rng: np.random.Generator) -> list[Turn]:
    """Does it answer? Did it help to this answer? Asked of queries that it answers and of those that it resembles."""
    lead = queries[int(rng.integers(len(queries)))]
    by_id = {passage.id: passage for passage in document.passages}
    ids = lead.evidence if lead.evidence and rng.random() < 0.6 else tuple(sorted(by_id))
    passage = by_id[ids[int(rng.integers(len(ids)))]]
    text = shown_text(document, passage, rng.random() < TITLED)
    answers = [query for query in queries if passage.id in query.evidence]
    tempts = sorted(
        (query for query in shuffled(queries, rng) if query not in answers),
        key=lambda query: passage.id not in (*query.partial, *query.distractors, *query.twins),
    )
    made = []
    for query in shuffled([*answers[:ASKED], *tempts[: max(2, len(answers))]], rng)[: ASKED + 2]:
        verdict = "Yes" if query in answers else "No"
        if rng.random() < 0.25:
            made.append((PROMPTS.using(query.text, query.answers[0], text), verdict))
        else:
            made.append((PLAIN.judging(query.text, [Passage("", text, "", "")]), verdict))
    head = PROMPTS.asking(text).removesuffix(PROMPTS.query_question)
    return [made[0], *((prompt.removeprefix(head), verdict) for prompt, verdict in made[1:])]


def _expansion(document: LabDocument, queries: Sequence[LabQuery], rng: np.random.Generator) -> list[Turn]:
    """A passage that answers the query, in the words in which the lab's passages do, the answering sentence first."""
    answered = [query for query in queries if query.evidence]
    if not answered:
        return _on_a_passage(document, queries, rng)
    query = answered[int(rng.integers(len(answered)))]
    place = int(rng.integers(len(query.evidence)))
    by_id = {passage.id: passage for passage in document.passages}
    start, end = query.stated[place]
    words = by_id[query.evidence[place]].text.split()
    return [(expanding(query.text), " ".join([*words[start:end], *words[:start], *words[end:]]))]


def expanding(query: str) -> str:
    """The prompt after which a family writes a passage that would answer the query."""
    return f"Question: {query}\nPassage:"


def shown_text(document: LabDocument, passage: LabPassage, titled: bool) -> str:
    """A passage as it is shown, under its document's title and its section or alone."""
    return f"{document.title} / {passage.section}: {passage.text}" if titled else passage.text


def shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """The items in random order, as a list of its own."""
    return [items[int(place)] for place in rng.permutation(len(items))]
