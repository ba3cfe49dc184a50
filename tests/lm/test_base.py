"""Where an answer begins, and what gives way when a prompt is too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lm.conftest import PASSAGES, new_tokenizer
from uae_bench.errors import BadInput, NotPossible
from uae_bench.lm.base import OPENING_TOKENS, count_tokens, encode_pairs, fit_passages
from uae_bench.lm.hf import HfModel
from uae_bench.lm.tokenizer import HfTokenizer
from uae_bench.prompts import INSTRUCT, PLAIN, PromptTemplate
from uae_bench.records import Passage

WITH_BEGIN = HfTokenizer(new_tokenizer(begin=True))
WITHOUT = HfTokenizer(new_tokenizer(begin=False))
CHAT = HfTokenizer(new_tokenizer(begin=True, chat=True))
ALL = [WITH_BEGIN, WITHOUT, CHAT]


def text(tokenizer: HfTokenizer, ids: list[int]) -> str:
    return str(tokenizer.inner.decode(ids))


def test_an_answer_is_scored_from_its_own_first_token() -> None:
    (pair,) = encode_pairs(WITHOUT, [("Answer:", " Ana Torv")])
    assert text(WITHOUT, pair.ids[: pair.start].tolist()) == "Answer:"
    assert text(WITHOUT, pair.ids[pair.start :].tolist()) == " Ana Torv"
    assert pair.backed_up == 0


def test_a_token_across_the_boundary_is_scored_whole_and_counted() -> None:
    # " An" + "a" is one token " Ana" when encoded together, " An" another when alone: back up one token
    alone = WITHOUT.encode(["Answer: An"])[0]
    together = WITHOUT.encode(["Answer: Ana"])[0]
    assert together[: len(alone)] != alone
    (pair,) = encode_pairs(WITHOUT, [("Answer: An", "a")])
    assert text(WITHOUT, pair.ids[: pair.start].tolist()) == "Answer:"
    assert text(WITHOUT, pair.ids[pair.start :].tolist()) == " Ana"
    assert pair.backed_up == len(alone) - pair.start >= 1


def test_the_plan_adds_up_what_was_backed_up(llama: HfModel) -> None:
    assert llama.plan([("Answer: An", "a"), ("Answer:", " Ana")]).backed_up == (
        encode_pairs(llama.tokenizer, [("Answer: An", "a")])[0].backed_up
    )


@pytest.mark.parametrize("tokenizer", [WITH_BEGIN, CHAT])
def test_the_begin_token_stands_first_and_once(tokenizer: HfTokenizer) -> None:
    (pair,) = encode_pairs(tokenizer, [(PLAIN.answering("Who dug it?", PASSAGES[:1]), " Ana")])
    begin = tokenizer.inner.bos_token_id
    assert pair.ids[0] == begin
    assert pair.ids.tolist().count(begin) == 1


def test_a_prompt_that_writes_the_begin_token_out_gets_no_second_one() -> None:
    (ids,) = WITH_BEGIN.encode(["<s>Answer:"])
    assert ids == WITH_BEGIN.encode(["Answer:"])[0]


def test_a_model_that_opens_texts_with_no_token_gets_none() -> None:
    assert WITHOUT.inner.bos_token_id not in WITHOUT.encode(["Answer:"])[0]


def test_a_chat_template_frames_the_prompt_as_the_tokenizer_itself_would() -> None:
    prompt = INSTRUCT.answering("Who dug it?", PASSAGES[:1])
    turn = [{"role": "user", "content": prompt}]
    own = CHAT.inner.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    framed, answer = CHAT.frame(prompt, " Ana")
    assert framed == own
    assert answer == "Ana"  # an assistant's turn begins without a space
    assert CHAT.encode([framed])[0] == CHAT.inner(own, add_special_tokens=False).input_ids


def test_a_chat_model_scores_and_writes_inside_its_template(folder: Callable[..., Path]) -> None:
    from uae_bench.lm.base import Sampling

    path = folder("llama", chat=True)
    model = HfModel(path, "cpu", "float32")
    plain = HfModel(folder("llama"), "cpu", "float32")  # the same weights without a template
    framed = "<|user|>\nWho?\n<|assistant|>\n"
    chat, bare = model.score([("Who?", " Ana")])[0], plain.score([(framed, "Ana")])[0]
    assert chat.tokens == bare.tokens
    assert chat.logprob == pytest.approx(bare.logprob, abs=1e-5)
    sampling = Sampling(max_tokens=5)
    assert model.generate(["Who?"], sampling) == plain.generate([framed], sampling)


def test_empty_continuations_and_prompts_are_refused() -> None:
    with pytest.raises(BadInput, match="has no tokens"):
        encode_pairs(WITHOUT, [("Answer:", "")])
    with pytest.raises(BadInput, match="no token stands before"):
        encode_pairs(WITHOUT, [("", "Ana")])


LONG = Passage("p", "soft water is needed, " * 20, "Engines", "d")


def test_a_prompt_that_fits_is_left_alone() -> None:
    fitted = fit_passages(PLAIN, "Who?", [LONG], " Ana", 500, WITH_BEGIN)
    assert (fitted.prompt, fitted.passages, fitted.cut_tokens) == (PLAIN.answering("Who?", [LONG]), (LONG,), 0)


def test_a_prompt_that_surely_fits_is_not_encoded_to_count_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def encode(self: HfTokenizer, framed: Sequence[str]) -> list[list[int]]:
        counted.extend(framed)
        return [[0]]

    monkeypatch.setattr(HfTokenizer, "encode", encode)
    prompt = PLAIN.answering("Who?", [LONG])
    longest = len(f"{prompt} Ana".encode()) + OPENING_TOKENS  # tokens are at most as many as bytes
    for limit, times in ((longest, 0), (longest - 1, 1)):
        assert fit_passages(PLAIN, "Who?", [LONG], " Ana", limit, WITH_BEGIN).prompt == prompt
        assert counted == [f"{prompt} Ana"] * times


@pytest.mark.parametrize("tokenizer", ALL)
def test_the_passage_is_cut_from_its_end_and_nothing_else(tokenizer: HfTokenizer) -> None:
    whole = count_tokens(tokenizer, PLAIN.answering("Who dug it?", [LONG]), " Ana Torv")
    fitted = fit_passages(PLAIN, "Who dug it?", [LONG], " Ana Torv", whole - 30, tokenizer)
    assert fitted.prompt.startswith("Passage: Engines: soft water is needed,")
    assert fitted.prompt.endswith("\nQuestion: Who dug it?\nAnswer:")
    assert LONG.text.startswith(fitted.passages[0].text)
    size = count_tokens(tokenizer, fitted.prompt, " Ana Torv")
    assert whole - 33 <= size <= whole - 30
    assert fitted.cut_tokens == whole - size


def test_the_passage_ranked_last_gives_way_first() -> None:
    first, last = PASSAGES[2], LONG
    whole = count_tokens(WITH_BEGIN, PLAIN.answering("Who?", [first, last]), "")
    fitted = fit_passages(PLAIN, "Who?", [first, last], "", whole - 20, WITH_BEGIN)
    assert fitted.passages[0] == first
    assert last.text.startswith(fitted.passages[1].text)
    # with less room than the last one's title takes, it is left out and the first is cut
    fitted = fit_passages(PLAIN, "Who?", [first, last], "", 40, WITH_BEGIN)
    assert [passage.id for passage in fitted.passages] == [first.id]
    assert first.text.startswith(fitted.passages[0].text)


def test_a_question_too_long_for_the_model_is_never_cut() -> None:
    with pytest.raises(NotPossible, match="40 fit the model"):
        fit_passages(PLAIN, "Who dug it? " * 20, [LONG], " Ana", 40, WITH_BEGIN)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=60), max_size=3),
    st.text(min_size=1, max_size=10),
    st.integers(40, 160),
    st.sampled_from(ALL),
    st.sampled_from([PLAIN, INSTRUCT]),
)
def test_what_fits_fits_and_keeps_the_beginnings_of_the_first_passages(
    texts: list[str], answer: str, limit: int, tokenizer: HfTokenizer, template: PromptTemplate
) -> None:
    passages = [Passage(f"p{number}", text, "", "d") for number, text in enumerate(texts)]
    try:
        fitted = fit_passages(template, "Who?", passages, answer, limit, tokenizer)
    except NotPossible:
        assert count_tokens(tokenizer, template.answering("Who?", []), answer) > limit
        return
    assert count_tokens(tokenizer, fitted.prompt, answer) <= limit
    assert fitted.prompt == template.answering("Who?", fitted.passages)
    for kept, given_passage in zip(fitted.passages, passages, strict=False):
        assert given_passage.text.startswith(kept.text)
    assert all(kept == whole for kept, whole in zip(fitted.passages[:-1], passages, strict=False))
