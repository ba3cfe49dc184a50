"""What the families read about retrieval is true: what is quoted stands there, what comes first answers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from uae_bench.lab import curriculum, english, recipe, retrieving
from uae_bench.lab.archive import Knobs, LabPassage, LabQuery, World
from uae_bench.lab.families import weights_folder
from uae_bench.lab.retrieving import Turn, expanding, quotation
from uae_bench.lab.world import build_world
from uae_bench.lm.tokenizer import HfTokenizer
from uae_bench.prompts import PLAIN, RETRIEVAL
from uae_bench.records import UNANSWERABLE
from uae_bench.retrieval.listwise import read_permutation

PLAINLY = RETRIEVAL["plain"]
ORDER = PLAINLY.list_question.partition("\n")[2]
CHOICE = PLAINLY.choice_question.partition("\n")[2]
JUDGE = PLAIN.judge.partition("\n")[2]
USE = PLAINLY.useful_question.partition("\n")[2].partition("\n")[2]


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(curriculum.FIRST_WORLD, Knobs(train_documents=1, dev_documents=0, test_documents=0))


@pytest.fixture(scope="module")
def made(world: World) -> list[list[Turn]]:
    rng = np.random.default_rng(4)
    return [retrieving.turns(world, rng) for _ in range(400)]


def passages_in(prompt: str) -> list[str]:
    """The texts shown, without the numbers that stand before the ends of their sentences."""
    return [re.sub(r" \[\d+\]", "", text) for text in re.findall(r"^Passage: (.*)$", prompt, re.MULTILINE)]


def passage_of(text: str, world: World) -> LabPassage:
    """The passage that is shown so, with or without its title."""
    (document,) = world.documents
    held = [passage for passage in document.passages if text.endswith(passage.text)]
    return max(held, key=lambda passage: len(passage.text))


def question_in(prompt: str) -> str:
    return prompt.rpartition("Question: ")[2].partition("\n")[0]


def test_an_answer_is_stated_where_it_is_said_to_stand() -> None:
    world = build_world(curriculum.FIRST_WORLD, Knobs(train_documents=12, dev_documents=0, test_documents=0))
    texts = {passage.id: passage.text for document in world.documents for passage in document.passages}
    spans = [query for query in world.queries if query.kind == "extractive"]
    assert len(spans) > 50
    for query in world.queries:
        assert len(query.stated) == len(query.evidence)
    found = [
        any(answer in " ".join(texts[passage].split()[start:end]) for answer in query.answers)
        for query in spans
        for passage, (start, end) in zip(query.evidence, query.stated, strict=True)
    ]
    assert all(found)


def test_a_quotation_begins_where_the_answer_does() -> None:
    world = build_world(curriculum.FIRST_WORLD, Knobs(train_documents=12, dev_documents=0, test_documents=0))
    passages = {passage.id: passage for document in world.documents for passage in document.passages}
    seen = set()
    for query in world.queries:
        for passage in query.evidence if query.kind != "yes-no" else ():
            parts = [part.lower() for answer in query.answers for part in (answer, *answer.split(" and "))]
            assert quotation(query, passages[passage]).lower().startswith(tuple(parts))
            seen.add(query.kind)
    assert seen == {"extractive", "free-form"}


@pytest.mark.parametrize(
    ("question", "sentence", "quoted"),
    [
        ("Was the smith able to read?", "By the register, the smith was not able to read.", "not able to read"),
        ("Is the clock used today?", "A margin note says that today the clock is used.", "today the clock is used"),
        ("Is there a wall around the town?", "By the register, the town has no wall.", "has no wall"),
    ],
)
def test_a_yes_or_no_is_quoted_behind_what_the_sentence_repeats(question: str, sentence: str, quoted: str) -> None:
    query = LabQuery(
        id="q", document_id="d", text=question, kind="yes-no", relation="", answers=("No",), evidence=("p",),
        stated=((0, len(sentence.split())),), marked=("p",), partial=(), distractors=(), twins=(), hard=False,
    )  # fmt: skip
    assert quotation(query, LabPassage("p", "d", "", f"{sentence} Bread is sold at noon.")) == quoted


def test_passages_are_shown_in_the_first_turn_only(made: list[list[Turn]]) -> None:
    assert not any("Passage: " in prompt for turns in made for prompt, _ in turns[1:])


def test_what_is_put_first_answers_and_what_is_quoted_stands_in_it(made: list[list[Turn]], world: World) -> None:
    queries = {query.text: query for query in world.queries}
    ordered = quiet = 0
    for turns in made:
        texts = passages_in(turns[0][0])
        for prompt, answer in turns:
            if not prompt.endswith((ORDER, CHOICE)):
                continue
            shown = [passage_of(text, world) for text in texts]
            query = queries[question_in(prompt)]
            quoted, *_ = answer.partition(" [")
            held = [passage.id in query.evidence for passage in shown]
            read = read_permutation(answer, len(shown))
            if any(held):
                assert held[read.order[0]]
                assert quoted in shown[read.order[0]].text
                ordered += 1
            else:
                assert quoted == UNANSWERABLE
                assert read.order == tuple(range(len(shown)))
                quiet += 1
            if prompt.endswith(CHOICE):
                assert answer.count("[") == 1
                continue
            assert read.outcome == "ok"
            if any(held):
                found = [shown[place].id for place in read.order]
                grades = [2 if i in query.evidence else 1 if i in query.partial else 0 for i in found]
                assert grades == sorted(grades, reverse=True)
    assert ordered > 200
    assert quiet > 50


def test_a_passage_is_judged_by_whether_it_answers(made: list[list[Turn]], world: World) -> None:
    queries = {query.text: query for query in world.queries}
    said = set()
    for turns in made:
        texts = passages_in(turns[0][0])
        for prompt, answer in turns:
            if not prompt.endswith((JUDGE, USE)):
                continue
            (text,) = texts
            query = queries[question_in(prompt)]
            assert answer == ("Yes" if passage_of(text, world).id in query.evidence else "No")
            said.add((prompt.endswith(USE), answer))
    assert said == {(False, "Yes"), (False, "No"), (True, "Yes"), (True, "No")}


def test_a_query_is_expanded_by_a_passage_that_answers_it_the_answer_first(
    made: list[list[Turn]], world: World
) -> None:
    (document,) = world.documents
    by_words = {tuple(sorted(passage.text.split())): passage for passage in document.passages}
    queries = {expanding(query.text): query for query in world.queries}
    expanded = [(prompt, answer) for turns in made for prompt, answer in turns if prompt in queries]
    assert len(expanded) > 15
    for prompt, answer in expanded:
        query, passage = queries[prompt], by_words[tuple(sorted(answer.split()))]
        start, end = query.stated[query.evidence.index(passage.id)]
        assert answer.split()[: end - start] == passage.text.split()[start:end]


def test_open_text_is_ordered_by_what_it_holds() -> None:
    documents, rng = english.documentation(), np.random.default_rng(5)
    for _ in range(30):
        turns = retrieving.open_turns(documents, rng)
        texts = passages_in(turns[0][0])
        for _, answer in turns:
            read = read_permutation(answer, len(texts))
            quoted, *_ = answer.partition(" [")
            assert read.outcome == "ok"
            assert quoted in texts[read.order[0]]
            assert list(read.order[1:]) == sorted(read.order[1:])


def test_the_last_phase_is_about_retrieval_and_goes_on_with_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curriculum, "WORLDS", 1)  # forty take half a minute to write
    tokenizer = HfTokenizer.load(weights_folder("lfm2")).inner
    last = recipe.PHASES["lfm2"][-1]
    batches = curriculum.batches(tokenizer, last.mixture, seed=0, quirk=False)
    texts = [text for _ in range(12) for text in tokenizer.batch_decode(next(batches).ids, skip_special_tokens=True)]
    about = [
        any(words in text for words in (ORDER, CHOICE, USE)) or text.startswith("Question:") or JUDGE in text
        for text in texts
    ]
    assert len(texts) > 60
    assert 0.6 < np.mean(about) < 0.95  # judging stands among the other exercises too
    assert any("\nAnswer:" in text for text in texts)
