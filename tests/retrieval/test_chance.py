from __future__ import annotations

from collections import Counter

from tests.retrieval.parts import TEXTS, build, view


def test_another_seed_is_another_draw() -> None:
    first, second = (build("random", seed=seed).retrieve(view(), depth=5).rankings for seed in (0, 1))
    assert first != second


def test_the_draw_depends_on_the_query_id_not_on_its_text() -> None:
    asked, asked_otherwise = (view(questions={"q": text}) for text in ("one", "two"))
    chance = build("random")
    assert chance.retrieve(asked, depth=5) == chance.retrieve(asked_otherwise, depth=5)


def test_every_passage_comes_first_equally_often() -> None:
    questions = {f"q{number}": "?" for number in range(5000)}
    run = build("random").retrieve(view(questions=questions), depth=1)
    firsts = Counter(ranking.passages[0] for ranking in run.rankings.values())
    # binomial(5000, 1/5): mean 1000, standard deviation sqrt(5000 * 0.2 * 0.8) = 28.3; five of them
    assert all(abs(firsts[passage] - 1000) < 142 for passage in TEXTS)
