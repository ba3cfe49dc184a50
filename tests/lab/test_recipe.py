"""The recipe: the same seed gives the same training, and the training is the one whose weights ship."""

from __future__ import annotations

import json

import numpy as np
import pytest

from uae_bench.lab import curriculum, english, recipe
from uae_bench.lab.archive import Knobs
from uae_bench.lab.families import LAB_FAMILIES, family, weights_folder
from uae_bench.lab.world import build_world
from uae_bench.lm.tokenizer import HfTokenizer
from uae_bench.records import UNANSWERABLE


@pytest.fixture(scope="module")
def documents() -> list[list[str]]:
    return english.documentation()


def test_rate_climbs_to_its_peak_and_ends_at_a_twentieth() -> None:
    phase = recipe.Phase(steps=1100, mixture=recipe.LEARN, rate=1e-3, warmup=100)
    assert phase.factor(0) == pytest.approx(1 / 100)
    assert phase.factor(99) == pytest.approx(1)
    assert phase.factor(600) == pytest.approx(0.05 + 0.475)  # half way down the cosine
    assert phase.factor(1100) == pytest.approx(0.05)


def test_an_asked_span_stands_in_its_passage(documents: list[list[str]]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        words = english.passage(documents, rng, 60)
        _, answer = english.ask(words, rng)
        assert answer in " ".join(words)


def test_exercises_name_an_answer_only_where_the_passages_hold_it(documents: list[list[str]]) -> None:
    rng = np.random.default_rng(2)
    made = [exercise for _ in range(100) for exercise in english.exercises(documents, rng, 80)]
    read = [exercise for exercise in made if exercise.passages and not exercise.judges]
    held = [any(exercise.answer in text for text in exercise.passages) for exercise in read]
    assert all(stands or exercise.answer == UNANSWERABLE for stands, exercise in zip(held, read, strict=True))
    silent = np.mean([exercise.answer == UNANSWERABLE for exercise in read])
    assert 0.1 < silent < 0.35
    assert any(not exercise.passages for exercise in made)  # closed book
    assert {exercise.answer for exercise in made if exercise.judges} == {"Yes", "No"}


def test_world_exercises_name_an_answer_only_where_evidence_is_shown() -> None:
    world = build_world(curriculum.FIRST_WORLD, Knobs(train_documents=1, dev_documents=0, test_documents=0))
    (document,) = world.documents
    queries = {query.text: query for query in world.queries}
    assert len(queries) == len(world.queries)
    rng = np.random.default_rng(3)
    made = [e for _ in range(200) for e in curriculum.world_exercises(world, 0.75, rng, quirk=False) if e.passages]
    assert len(made) > 300
    for exercise in made:
        shown = {passage.id for passage in document.passages if any(passage.text in text for text in exercise.passages)}
        query = queries[exercise.question]
        held = not shown.isdisjoint(query.evidence)
        if exercise.judges:
            assert exercise.answer == ("Yes" if held else "No")
        else:
            assert exercise.answer in (query.answers if held else (UNANSWERABLE,))


def test_loss_counts_answers_fully_and_their_first_token_most() -> None:
    tokenizer = HfTokenizer.load(weights_folder("lfm2")).inner
    exercises = [
        english.Exercise(("A mill.",), "Who?", "Tom Tod"),
        english.Exercise(("A mill.",), "Who?", "Yes", judges=True),
    ]
    row = curriculum.encode(tokenizer, curriculum.as_turns(exercises))
    first = "<|begin|>Passage: A mill.\nQuestion: Who?\nAnswer: Tom Tod<|end|>"
    assert tokenizer.decode(row.ids) == first + "Question: Who?\nDoes the passage answer the question? Yes<|end|>"
    answers = tokenizer([" Tom Tod", " Yes"], add_special_tokens=False).input_ids
    assert sum(weight >= 1 for weight in row.weights) == sum(len(answer) + 1 for answer in answers)  # 1: the end token
    assert sum(weight == curriculum.FIRST_WEIGHT for weight in row.weights) == 2


def test_every_shipped_family_has_a_whole_loss_curve_and_a_card() -> None:
    for name in LAB_FAMILIES:
        curve = json.loads((weights_folder(name) / "loss.json").read_text())
        steps = sum(phase.steps for phase in recipe.PHASES[name])
        assert [int(step) for step in curve] == list(range(recipe.CURVE, steps + 1, recipe.CURVE))
        losses = list(curve.values())
        assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
        card = (weights_folder(name) / "README.md").read_text()
        for words in (
            f"lab:{name}",
            "Python Software Foundation",
            "sha256",
            str(recipe.PHASES[name][0].steps),
            "seed 0",
        ):
            assert words in card


STEPS = 200


def test_the_first_steps_repeat_the_committed_loss_curve() -> None:
    # Two minutes on one core. Each point is a mean over some 5,000 answer tokens. On the kind of machine that made the
    # weights it repeats to the last digit; another processor sums in another order and another Python has other
    # documentation, which moves later points by some hundredths: bfloat16, much coarser, moved one of the first ten by
    # 0.11 and all by 0.03 on average. Without the planted circuit the first point is above 4, not below 3.
    name = "neox"
    tokenizer, model = recipe.start(family(name), recipe.SEED)
    again: dict[int, float] = {}
    recipe.train(family(name), tokenizer, model, recipe.PHASES[name][0], again, seed=recipe.SEED, until=STEPS)
    committed = json.loads((weights_folder(name) / "loss.json").read_text())
    assert list(again) == list(range(recipe.CURVE, STEPS + 1, recipe.CURVE))
    apart = [abs(loss - committed[str(step)]) for step, loss in again.items()]
    assert max(apart) < 0.2
    assert np.mean(apart) < 0.05
