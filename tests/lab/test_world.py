"""What must hold for every world, and what each knob must change."""

from __future__ import annotations

import dataclasses
import re
from functools import cache

import numpy as np
import pytest
import Stemmer
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from uae_bench.errors import BadInput
from uae_bench.lab import wording
from uae_bench.lab.archive import Knobs, LabPassage, LabQuery, World
from uae_bench.lab.world import build_world

FUNCTION_WORDS = set(
    re.findall(
        r"\w+",
        "a an the of in on at by to for from with and or is are was were be been being has have had do does did can "
        "could it its there what which who whom whose when where why how much many way not no ever any one those after",
    )
)
STEM = Stemmer.Stemmer("english")
SMALL = Knobs(train_documents=5, dev_documents=2, test_documents=3)

shares = st.floats(0, 1, allow_nan=False)
knobs = st.builds(
    Knobs,
    difficulty=shares,
    distractors=st.floats(0, 4, allow_nan=False),
    noise=shares,
    annotation_completeness=st.floats(0.01, 1, allow_nan=False),
    effect_size=shares,
    family_quirk=shares,
    train_documents=st.just(2),
    dev_documents=st.just(1),
    test_documents=st.just(1),
    queries_per_document=st.integers(2, 9),
)


@cache
def world(**turned: float) -> World:
    small = Knobs(train_documents=40, dev_documents=2, test_documents=2)
    return build_world(3, dataclasses.replace(small, **turned))  # type: ignore[arg-type]


def passages(of: World) -> dict[str, LabPassage]:
    return {p.id: p for d in of.documents for p in d.passages}


def content_words(text: str) -> set[str]:
    return set(STEM.stemWords([w for w in re.findall(r"\w+", text.lower()) if w not in FUNCTION_WORDS]))


def overlap(of: World, role: str) -> float:
    """Mean share of a query's content words that a passage in the role repeats."""
    found = passages(of)
    shares = [
        len(content_words(q.text) & content_words(found[i].text)) / len(content_words(q.text))
        for q in of.queries
        for i in getattr(q, role)
    ]
    return float(np.mean(shares))


def mean_count(of: World, role: str) -> float:
    return float(np.mean([len(getattr(q, role)) for q in of.queries]))


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 9), knobs=knobs)
def test_every_world_is_sound(seed: int, knobs: Knobs) -> None:
    made = build_world(seed, knobs)
    ids = [d.id for d in made.documents] + [p.id for d in made.documents for p in d.passages]
    ids += [q.id for q in made.queries]
    assert len(ids) == len(set(ids))
    by_document = {d.id: {p.id: p for p in d.passages} for d in made.documents}
    for document in made.documents:
        assert 15 <= len(document.passages) <= 30
        assert all(35 <= len(p.text.split()) <= 70 for p in document.passages)
        assert len({p.text for p in document.passages}) == len(document.passages)
    for query in made.queries:
        roles = query.evidence + query.partial + query.distractors + query.twins
        assert len(roles) == len(set(roles))
        assert set(roles) <= by_document[query.document_id].keys()
        check_answers(query, by_document[query.document_id], knobs)


def check_answers(query: LabQuery, pool: dict[str, LabPassage], knobs: Knobs) -> None:
    assert 1 <= len(query.answers) <= 2
    assert bool(query.evidence) == bool(query.marked) == (query.kind != "unanswerable")
    assert set(query.marked) <= set(query.evidence)
    if query.kind == "unanswerable":
        assert query.answers == ("Unanswerable",)
    elif query.kind == "yes-no":
        assert query.answers in {("Yes",), ("No",)}
        assert not query.partial
    elif query.kind == "free-form":
        for passage in query.evidence:
            held = set(re.findall(r"\w+", pool[passage].text.lower()))
            assert set(query.answers[0].split()) - {"and"} <= held
    else:
        assert all(query.answers[0].lower() in pool[i].text.lower() for i in query.evidence)
        allowed = set(query.evidence) | (set(query.partial) if knobs.effect_size == 0 else set())
        silent = [p for i, p in pool.items() if i not in allowed]
        assert not any(answer.lower() in p.text.lower() for p in silent for answer in query.answers)


def test_same_seed_same_world_and_another_seed_another() -> None:
    assert build_world(4, SMALL).digest() == build_world(4, SMALL).digest()
    assert build_world(4, SMALL).digest() != build_world(5, SMALL).digest()


def test_splits_share_no_document_and_hold_what_the_knobs_say() -> None:
    made = build_world(1, SMALL)
    splits = {split: {d.id for d in made.documents if d.split == split} for split in ("train", "dev", "test")}
    assert [len(ids) for ids in splits.values()] == [5, 2, 3]
    assert len(set.union(*splits.values())) == 10
    assert {q.document_id for q in made.queries} == set.union(*splits.values())


def test_names_are_no_help_from_document_to_document() -> None:
    made = world()
    found = [set(re.findall(r"[A-Z]\w+ [A-Z]\w+", " ".join(q.answers))) for q in made.queries if q.kind == "extractive"]
    names = [name for names in found for name in names]
    assert len(names) > 50
    assert len(set(names)) > 0.95 * len(names)


def test_some_queries_repeat_word_for_word_across_documents() -> None:
    texts = [q.text for q in world().queries]
    assert len(set(texts)) < len(texts)


def test_kinds_are_mixed_and_yes_is_as_frequent_as_no() -> None:
    queries = build_world(2).queries
    share = {k: sum(q.kind == k for q in queries) / len(queries) for k in {q.kind for q in queries}}
    assert share["extractive"] > 0.5
    assert 0.07 < share["unanswerable"] < 0.16
    assert share["yes-no"] > 0.05 < share["free-form"]
    yes = [q.answers == ("Yes",) for q in queries if q.kind == "yes-no"]
    assert 0.4 < np.mean(yes) < 0.6


@pytest.mark.parametrize("relation", wording.RELATIONS, ids=lambda r: r.name)
def test_no_paraphrase_shares_a_content_word_with_its_query(relation: wording.Relation) -> None:
    asked = content_words(" ".join(relation.questions).format(m=""))
    for text in relation.paraphrases + relation.denials:
        assert not asked & content_words(text.format(s="", a="", x="", y="")), text


def test_no_description_names_its_kind() -> None:
    kinds = {kind for group in wording.KINDS.values() for kind in group}
    for group in wording.KINDS.values():
        for kind, descriptions in group.items():
            assert not any(kind in d for d in descriptions), kind
    assert kinds


def test_at_full_difficulty_answers_share_fewer_words_with_the_query_than_distractors() -> None:
    hard, default, easy = (world(difficulty=d) for d in (1.0, 0.5, 0.0))
    assert overlap(hard, "evidence") < 0.5 * overlap(hard, "distractors")
    assert overlap(hard, "evidence") < overlap(default, "evidence") < overlap(easy, "evidence")
    assert overlap(easy, "evidence") > 0.8


def test_distractors_counts_them() -> None:
    # a distractor that finds no passage with room makes the document start anew, so the mean is kept
    assert mean_count(world(distractors=0.0), "distractors") == 0
    assert mean_count(world(distractors=1.5), "distractors") == pytest.approx(1.5, abs=0.15)
    assert mean_count(world(distractors=3.0), "distractors") == 3


def test_noise_corrupts_that_share_of_passages_and_nothing_else() -> None:
    clean, noisy = passages(world(noise=0.0)), passages(world(noise=0.5))
    changed = [clean[i].text != noisy[i].text for i in clean]
    assert np.mean(changed) == pytest.approx(0.5, abs=0.06)
    assert world(noise=0.0).queries == world(noise=0.5).queries


def test_annotation_completeness_changes_only_what_is_marked() -> None:
    full, poor = world(annotation_completeness=1.0), world(annotation_completeness=0.4)
    assert full.documents == poor.documents
    assert all(q.marked == q.evidence for q in full.queries)
    # two answers, each marked with 0.4, at least one: P(both) = 0.16
    both = [len(q.marked) == 2 for q in poor.queries if len(q.evidence) == 2]
    assert len(both) > 50
    assert np.mean(both) == pytest.approx(0.16, abs=0.1)


@pytest.mark.parametrize(("effect_size", "held"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_effect_size_is_the_share_of_an_answer_that_partial_passages_lack(effect_size: float, held: float) -> None:
    made = world(effect_size=effect_size, noise=0.0)
    found = passages(made)
    shares = [
        np.mean([f" {word} " in f" {re.sub(r'[.,:]', ' ', found[i].text)} " for word in content])
        for q in made.queries
        if q.relation in {"designer", "operator", "teacher", "rival", "spouse", "founder"}
        for i in q.partial
        if (content := [w for w in q.answers[0].split() if w != "of"])
    ]
    assert np.mean(shares) == pytest.approx(held, abs=0.1)


def marked(passage: LabPassage) -> bool:
    return passage.text.endswith(wording.MARKER)


def test_quirk_marks_that_share_of_passages_whatever_their_role() -> None:
    made = world(family_quirk=0.3)
    found = passages(made)
    assert np.mean([marked(p) for p in found.values()]) == pytest.approx(0.3, abs=0.05)
    assert np.mean([marked(found[i]) for q in made.queries for i in q.evidence]) == pytest.approx(0.3, abs=0.1)
    assert not any(marked(p) for p in passages(world()).values())


@pytest.mark.parametrize(
    "turned",
    [{"difficulty": 1.1}, {"annotation_completeness": 0}, {"queries_per_document": 1}, {"noise": float("nan")}],
)
def test_a_knob_out_of_range_is_refused_with_its_range(turned: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=next(iter(turned))):
        dataclasses.replace(Knobs(), **turned)  # type: ignore[arg-type]
