from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.parts import build, view
from uae_bench.retrieval import bm25
from uae_bench.retrieval.words import LexicalSettings, Words

CORPUS = {"d1": "red fox", "d2": "red red hen", "d3": "blue hen hut box"}
PLAIN: dict[str, Any] = {"stopwords": "none", "stemmer": "none"}
# N = 3 passages of 2, 3 and 4 words: avgdl = 3
WORDS = st.sampled_from(["red", "fox", "hen", "blue", "hut", "box", "sun"])
SENTENCES = st.lists(WORDS, max_size=8).map(" ".join)


def scores(name: str, corpus: dict[str, str], question: str, **config: Any) -> dict[str, float]:
    run = build(name, **config).retrieve(view(corpus, {"q": question}), depth=len(corpus))
    return dict(zip(run.rankings["q"].passages, run.rankings["q"].scores, strict=True))


def test_scores_follow_the_written_lucene_formula() -> None:
    # idf(red): df 2 -> ln(1 + 1.5/2.5); idf(fox): df 1 -> ln(1 + 2.5/1.5)
    red, fox = log(1 + 1.5 / 2.5), log(1 + 2.5 / 1.5)
    # tf / (tf + 1.2 (1 - 0.75 + 0.75 dl/3)): dl 2 -> 1.2 * 0.75 = 0.9; dl 3 -> 1.2; dl 4 -> 1.5
    expected = {"d1": red * 1 / (1 + 0.9) + fox * 1 / (1 + 0.9), "d2": red * 2 / (2 + 1.2), "d3": 0.0}
    assert scores("bm25", CORPUS, "red fox", **PLAIN) == pytest.approx(expected, rel=1e-6)


def test_a_repeated_query_term_counts_twice() -> None:
    once, twice = (scores("bm25", CORPUS, text, **PLAIN) for text in ("fox", "fox fox"))
    assert twice["d1"] == pytest.approx(2 * once["d1"])


def test_constants_can_be_set() -> None:
    # k1 = 0 leaves only the idf of the terms that match; b = 0 forgets the length: tf / (tf + k1)
    assert scores("bm25", CORPUS, "red", k1=0.0, **PLAIN)["d2"] == pytest.approx(log(1.6))
    assert scores("bm25", CORPUS, "red", b=0.0, **PLAIN)["d2"] == pytest.approx(log(1.6) * 2 / 3.2)


def test_statistics_come_from_the_corpus_and_candidates_from_the_pool() -> None:
    whole = scores("bm25", CORPUS, "red hen", **PLAIN)
    run = build("bm25", **PLAIN).retrieve(view(CORPUS, {"q": "red hen"}, {"q": ("d3", "d2")}), depth=3)
    assert run.rankings["q"].passages == ("d2", "d3")
    assert run.rankings["q"].scores == (whole["d2"], whole["d3"])


def test_okapi_follows_rank_bm25() -> None:
    # idf(fox) = ln(2.5/1.5); red and hen: df 2 -> ln(1.5/2.5) < 0, raised to 0.25 times the mean idf
    rare, common = log(2.5 / 1.5), log(1.5 / 2.5)
    floor = 0.25 * (4 * rare + 2 * common) / 6  # fox, blue, hut, box; red, hen
    # (k1 + 1) tf / (tf + 1.5 (0.25 + 0.75 dl/3)): dl 2 -> 1.5 * 0.75 = 1.125; dl 3 -> 1.5
    expected = {"d1": (rare + floor) * 2.5 / (1 + 1.125), "d2": floor * 2.5 * 2 / (2 + 1.5), "d3": 0.0}
    assert scores("bm25-okapi", CORPUS, "red fox", **PLAIN) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCES, min_size=1, max_size=8), SENTENCES, st.floats(0.1, 3), st.floats(0, 1))
def test_any_corpus_is_scored_by_the_formula(texts: list[str], question: str, k1: float, b: float) -> None:
    words = [text.split() for text in texts]
    mean = sum(map(len, words)) / len(words)
    expected = {}
    for row, passage in enumerate(words):
        total = 0.0
        for term in question.split():
            df, tf = sum(term in other for other in words), passage.count(term)
            if tf:
                total += (
                    log(1 + (len(words) - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * len(passage) / mean))
                )
        expected[f"d{row}"] = total
    corpus = {f"d{row}": text for row, text in enumerate(texts)}
    assert scores("bm25", corpus, question, k1=k1, b=b, **PLAIN) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_searching_many_queries_at_once_gives_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vocabulary = ["red", "fox", "hen", "blue", "hut", "box"]
    corpus = {f"d{row:03}": " ".join(rng.choice(vocabulary, size=rng.integers(0, 6))) for row in range(300)}
    questions = {f"q{row}": " ".join(rng.choice([*vocabulary, "sun"], size=rng.integers(0, 4))) for row in range(60)}
    retriever = build("bm25", **PLAIN)
    one_by_one = {depth: retriever.retrieve(view(corpus, questions), depth=depth) for depth in (1, 7, 300, 400)}
    monkeypatch.setattr(bm25, "WORTH_COMPILING", 0)
    for depth, run in one_by_one.items():  # so short passages tie often, also across the cut
        assert retriever.retrieve(view(corpus, questions), depth=depth) == run


def test_words_are_lowered_stopped_and_stemmed() -> None:
    words = Words(LexicalSettings())
    assert words("The Engineers' engines, and a running fox!") == ["engin", "engin", "run", "fox"]
    assert words("into the of") == []
    plain = Words(LexicalSettings(stopwords="none", stemmer="none"))
    assert plain("The engines of Zürich (2nd)") == ["the", "engines", "of", "zürich", "2nd"]


def test_a_query_of_unknown_words_scores_zero_and_is_counted() -> None:
    searcher = build("bm25").prepare(view(CORPUS))
    encoded = searcher.encode(view(questions={"a": "zebra", "b": "of the", "c": "fox"}).queries)
    assert searcher.facts(encoded, depth=1) == {"queries_without_terms": 2}


@pytest.mark.parametrize("name", ["bm25", "bm25-okapi"])
def test_a_corpus_without_words_ranks_by_id(name: str) -> None:
    assert scores(name, {"b": "?", "a": "!!"}, "fox") == {"a": 0.0, "b": 0.0}


def test_scifact_reaches_the_known_figure(data_folder: Path) -> None:
    from tests.retrieval.real import ndcg_at_10, scifact_test

    corpus_view, qrels = scifact_test(data_folder)
    run = build("bm25").retrieve(corpus_view, depth=100)
    assert len(run) == 300
    assert ndcg_at_10(run, qrels) == pytest.approx(0.68, abs=0.005)


def test_covidqa_reaches_the_known_figures(data_folder: Path) -> None:
    from tests.retrieval.real import covidqa, success

    pooled_view, evidence = covidqa(data_folder)
    run = build("bm25").retrieve(pooled_view, depth=10)
    assert len(run) == 1380
    assert success(run, evidence, 1) == pytest.approx(0.60, abs=0.03)
    assert success(run, evidence, 5) == pytest.approx(0.85, abs=0.03)
