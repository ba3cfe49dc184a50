"""What all rerankers share that ask a language model: prompts that fit, accounts, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.experiment.parts import language_model
from tests.retrieval.scripted import listed, reranker
from uae_bench.errors import BadInput, NotPossible, UsageError
from uae_bench.lm.hf import HfModel
from uae_bench.lm.server import ByteTokenizer
from uae_bench.prompts import RETRIEVAL
from uae_bench.records import Run
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.asking import fit_evenly, level
from uae_bench.retrieval.chain import asked_of, parse_system
from uae_bench.retrieval.component import Resources

ASKING = [name for name in RETRIEVERS if RETRIEVERS[name].asks]
SIZES = st.lists(st.integers(0, 50), max_size=12)


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(language_model(), "cpu", "float32")


def test_the_paper_s_language_model_rows_are_there() -> None:
    assert set(ASKING) >= {"rankgpt", "setwise", "pointwise", "upr", "utility-selector"}


@given(SIZES, st.integers(-5, 400))
def test_the_level_is_the_greatest_that_fits(lengths: list[int], room: int) -> None:
    most = level(lengths, room)
    if room < 0:
        assert most == -1
        return
    assert sum(min(length, most) for length in lengths) <= room
    if lengths and most < max(lengths):
        assert sum(min(length, most + 1) for length in lengths) > room


def joined(texts: Sequence[str]) -> str:
    return "<" + "|".join(texts) + ">"


@pytest.mark.parametrize(
    ("texts", "limit", "prompt", "cut"),
    [
        (["abc", "de"], 8, "<abc|de>", 0),
        (["a" * 20, "b" * 9], 24, "<" + "a" * 12 + "|" + "b" * 9 + ">", 8),
        (["a" * 20, "b" * 20], 20, "<" + "a" * 8 + "|" + "b" * 8 + ">", 24),
    ],
)
def test_texts_are_cut_evenly_from_their_ends(texts: list[str], limit: int, prompt: str, cut: int) -> None:
    fitted = fit_evenly(joined, texts, "", limit, ByteTokenizer(), "")
    assert (fitted.prompt, fitted.tokens, fitted.cut_tokens) == (prompt, len(prompt), cut)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4), st.integers(40, 120))
def test_what_fits_fits_whatever_the_characters(texts: list[str], limit: int) -> None:
    try:
        fitted = fit_evenly(joined, texts, " no", limit, ByteTokenizer(), "")
    except NotPossible:
        assert level([len(text.encode()) for text in texts], limit - len(joined([""] * len(texts))) - 3) < 12
        return
    assert len((fitted.prompt + " no").encode()) == fitted.tokens <= limit


def test_a_text_that_looks_like_a_field_stays_a_text() -> None:
    for template in RETRIEVAL.values():
        assert "{query} {number}" in template.ordering("q", ["a {query} {number} b"])
        assert "{answer}" in template.using("{answer}", "a", "{text}")


@pytest.mark.parametrize("name", ASKING)
def test_real_models_rank_every_candidate_and_nothing_else(name: str, model: HfModel) -> None:
    view, run = listed({"q": ["The harbour.", "Steam engines.", "Nobody."], "r": ["Oil."], "s": []})
    reranked = reranker(name, model).rerank(view, run, depth=2)
    assert {query: len(row.passages) for query, row in reranked.run.rankings.items()} == {"q": 2, "r": 1, "s": 0}
    assert set(reranked.run.rankings["q"].passages) <= set(run.rankings["q"].passages)
    assert [one.query for one in reranked.asked] == ["q", "r", "s"]
    assert {one.step for one in reranked.asked} == {name}
    again = reranker(name, model).rerank(view, run, depth=2)
    assert again == reranked


@pytest.mark.parametrize("name", ASKING)
def test_a_query_without_a_ranking_is_an_error(name: str, model: HfModel) -> None:
    view, run = listed({"q": ["The harbour."]})
    with pytest.raises(BadInput, match="'q'"):
        reranker(name, model).rerank(view, Run("none", 1, {}), depth=1)
    with pytest.raises(UsageError, match="depth"):
        reranker(name, model).rerank(view, run, depth=0)


@pytest.mark.parametrize("name", ASKING)
def test_without_models_it_says_so(name: str) -> None:
    view, run = listed({"q": ["The harbour.", "Nobody."]})
    component = RETRIEVERS[name]
    built = component.build("lab:llama", component.config(), Resources())
    with pytest.raises(NotPossible, match="hold no models"):
        built.rerank(view, run, depth=1)


@pytest.mark.parametrize("name", ASKING)
def test_alone_it_asks_the_generator_and_with_an_argument_that_model(name: str) -> None:
    alone = asked_of(parse_system(f"bm25>{name}"), "lab:lfm2")
    assert alone.name == f"bm25>{name}" and alone.steps[1].argument == "lab:lfm2"
    named = asked_of(parse_system(f"bm25>{name}:openai:m@http://h:1/v1"), "lab:lfm2")
    assert named.steps[1].argument == "openai:m@http://h:1/v1"
    with pytest.raises(UsageError, match="come first"):
        parse_system(name)


def test_the_identity_tells_the_prompts() -> None:
    component = RETRIEVERS["rankgpt"]
    assert component.identity("lab:llama", component.config())["retrieval prompts"] == RETRIEVAL["plain"].digest
