"""What a language model is asked, in four protocols, and the one rule for where an answer begins.

The token boundary: prompt and continuation are encoded together, because " A" and "A" are different tokens. The
prompt's own ids must be the beginning of the whole's; where a token spans the boundary, scoring begins at the last
token that both share, and the tokens backed up are counted. A passage may be cut to fit, a question or answer never.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from uae_bench.errors import BadInput, NotPossible
from uae_bench.lm.resources import LmResources
from uae_bench.prompts import PromptTemplate
from uae_bench.records import Finish, Likelihood, Passage

Tokens = npt.NDArray[np.int32]
"""Ids of a text, (L,)."""

Pair = tuple[str, str]
"""A prompt and the continuation whose likelihood is wanted."""

Contrast = tuple[Pair, Pair]
"""One continuation after two prompts: with a passage, and with none."""


ENCODED_TOGETHER = 1024
"""Texts that a tokenizer encodes at once: it keeps some hundred bytes for every token of them until all are done."""

OPENING_TOKENS = 8
"""Tokens that a tokenizer may add to a text, at most: a begin token and its like."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a whole set of items is to be computed: batches of indices, each a unit of resume.

    The same items in another order give the same batches of the same items. `tokens` counts prompts and
    continuations as they are; `computed` what the model will read once shared prefixes are read only once.
    `backed_up` counts tokens that span the boundary between prompt and continuation.
    """

    batches: tuple[tuple[int, ...], ...]
    tokens: int
    computed: int
    backed_up: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to write: at most `max_tokens`, greedily at temperature 0, until a stop text follows something written."""

    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ("\n",)


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote, without surrounding space and the stop text, and what it cost in tokens."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: Finish


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """A written text without surrounding space, up to the first stop text after something written, and whether there
    was one.
    """
    text = text.lstrip()
    stops = [at for each in stop if (at := text.find(each)) >= 0]
    return (text[: min(stops)] if stops else text).strip(), bool(stops)


def chance_seed(seed: int, prompt: Tokens) -> int:
    """The seed (63 bits) of one prompt's chance: what is drawn does not depend on what shares its batch."""
    digest = hashlib.sha256(f"{seed}:".encode() + prompt.tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def nth_seed(seed: int, count: int, place: int) -> int:
    """The seed of one of `count` texts after the same prompt: no two seeds share a text's chance."""
    return seed * count + place


MARK = "\ue000"
"""Stands for the user's words where a chat template is read: a private-use character, which no template writes."""


def in_turn(turn: Pair | None, prompt: str, continuation: str) -> Pair:
    """Both inside the user turn, what a template puts before and after the user's words; as they are where there is
    none. An assistant's turn begins without a space, so the continuation loses its own.
    """
    if turn is None:
        return prompt, continuation
    before, after = turn
    return f"{before}{prompt}{after}", continuation.lstrip(" ")


def opened_once(texts: list[list[int]], begin: int | None) -> list[list[int]]:
    """Ids of texts that each open with the begin token, once; as they are where the model uses none."""
    return texts if begin is None else [ids if ids[:1] == [begin] else [begin, *ids] for ids in texts]


class Tokenizer(Protocol):
    """Text to ids as the model expects them."""

    @property
    def begin(self) -> int | None:
        """The begin token that plain texts are opened with; None where the model uses none."""
        ...

    def frame(self, prompt: str, continuation: str) -> Pair:
        """The two texts as the model reads them: inside its chat template, where it has one."""
        ...

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        """Ids of framed texts, opened by the begin token once, where the model uses one."""
        ...

    def starts(self, text: str) -> list[int]:
        """The character at which each token of a plain text starts."""
        ...


class Opened(Protocol):
    """What every model knows of how it was opened (`LmSpec.open`)."""

    spec: str
    """As a user named it; "" where it was opened by other means."""
    purse: LmResources
    """Whose cap its batches count against; none caps a model that costs nothing."""


class Scorer(Opened, Protocol):
    """A model that says how likely a continuation is."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def window(self) -> int:
        """The most tokens that it reads at once."""
        ...

    def plan(self, pairs: Sequence[Pair]) -> Plan:
        """Deterministic batches over the whole set.

        Raises:
            BadInput: a pair exceeds the window, or a continuation is empty.
        """
        ...

    def score(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Likelihoods in the order of the pairs, batch by batch of their plan."""
        ...

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """One planned batch, alone: bit for bit what `score` of the whole gives for it."""
        ...


class Generator(Opened, Protocol):
    """A model that writes."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def window(self) -> int: ...

    def plan_generation(self, prompts: Sequence[str], sampling: Sampling) -> Plan:
        """Deterministic batches over the whole set.

        Raises:
            BadInput: a prompt leaves no room for `max_tokens` in the window.
        """
        ...

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """What the model writes after each prompt, in order, batch by batch of their plan."""
        ...

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """One planned batch, alone."""
        ...

    def plan_sampling(self, prompts: Sequence[str], sampling: Sampling, count: int) -> Plan:
        """As `plan_generation`, for `count` texts after each prompt."""
        ...

    def sample_batch(self, prompts: Sequence[str], sampling: Sampling, count: int) -> list[list[Generated]]:
        """One planned batch: `count` texts after each prompt, the nth by `nth_seed`."""
        ...


class StateReader(Protocol):
    """A model whose states can be seen: one whose weights are on this machine."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def window(self) -> int: ...

    def plan_reading(self, prompts: Sequence[str]) -> Plan:
        """Deterministic batches over the whole set.

        Raises:
            BadInput: a prompt exceeds the window.
        """
        ...

    def read_batch(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One planned batch: the last layer's state at the last token of each prompt, (B, D)."""
        ...


class ContrastiveScorer(Opened, Protocol):
    """A model whose next-token distributions can be seen whole: one whose weights are on this machine."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def window(self) -> int: ...

    def plan_contrasts(self, contrasts: Sequence[Contrast]) -> Plan:
        """Deterministic batches over the whole set. `tokens` counts each distinct pair once; `computed` a prompt
        without a passage once per batch; `backed_up`, of the prompts with one, also what `aligned` leaves out.

        Raises:
            BadInput: a pair exceeds the window, a continuation is empty, or the two share no token.
        """
        ...

    def contrast_batch(self, contrasts: Sequence[Contrast], alpha: float) -> list[Likelihood]:
        """One planned batch: the continuation under softmax((1 + α) z(with) − α z(without)), z being the logits of
        the two prompts at each of its tokens (context-aware decoding, arXiv 2305.14739); α = 0 is plain likelihood.
        """
        ...


class LanguageModel(Scorer, Generator, Protocol):
    """A model that scores and writes; where its backend shows states, a StateReader and a ContrastiveScorer too."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPair:
    """Ids (L,) of prompt and continuation together, scored from `start` on; `backed_up` prompt tokens came apart."""

    ids: Tokens
    start: int
    backed_up: int

    @property
    def scored(self) -> int:
        """Number of tokens whose likelihood is summed."""
        return len(self.ids) - self.start


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> list[EncodedPair]:
    """The token-boundary rule (above) for every pair.

    Raises:
        BadInput: an empty continuation, or nothing before the first scored token.
    """
    framed = [tokenizer.frame(prompt, continuation) for prompt, continuation in pairs]
    prompts = list(dict.fromkeys(prompt for prompt, _ in framed))
    prompt_ids = dict(zip(prompts, encode_texts(tokenizer, prompts), strict=True))
    whole_ids = encode_texts(tokenizer, [prompt + continuation for prompt, continuation in framed])
    return [
        _bounded(pair, prompt_ids[prompt], whole)
        for pair, (prompt, _), whole in zip(pairs, framed, whole_ids, strict=True)
    ]


def encode_texts(tokenizer: Tokenizer, framed: Sequence[str]) -> Iterator[Tokens]:
    """Ids (L,) of framed texts in order; so many at a time that what the tokenizer notes of them stays small."""
    for start in range(0, len(framed), ENCODED_TOGETHER):
        for ids in tokenizer.encode(framed[start : start + ENCODED_TOGETHER]):
            yield np.asarray(ids, dtype=np.int32)


def _bounded(pair: Pair, prompt: Tokens, whole: Tokens) -> EncodedPair:
    shorter = min(len(prompt), len(whole))
    differ = prompt[:shorter] != whole[:shorter]
    start = int(differ.argmax()) if differ.any() else shorter
    if start >= len(whole):
        raise BadInput(f"the continuation {pair[1]!r} has no tokens", hint="drop empty answers")
    if start == 0:
        raise BadInput(f"no token stands before the continuation {pair[1]!r}", hint="give a prompt that is not empty")
    return EncodedPair(whole, start, backed_up=len(prompt) - start)


def aligned(given: EncodedPair, closed: EncodedPair) -> tuple[EncodedPair, EncodedPair]:
    """One continuation after two prompts, scored in both from the same token on.

    Where a token spans the boundary of one prompt alone, what is scored begins differently; both are then scored
    over the ids that they share at their ends, and what that leaves out counts as backed up.

    Raises:
        BadInput: they share none.
    """
    one, other = given.ids[given.start :][::-1], closed.ids[closed.start :][::-1]
    shorter = min(len(one), len(other))
    differ = one[:shorter] != other[:shorter]
    shared = int(differ.argmax()) if differ.any() else shorter
    if shared == 0:
        raise BadInput(
            "the tokenizer cuts an answer into other tokens with a passage than without, down to its last one",
            hint="take another model: a contrast needs the same tokens after both prompts",
        )
    return _scored_at_end(given, shared), _scored_at_end(closed, shared)


def _scored_at_end(pair: EncodedPair, tokens: int) -> EncodedPair:
    return replace(pair, start=len(pair.ids) - tokens, backed_up=pair.backed_up + pair.scored - tokens)


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """A prompt that fits, the passages as they stand in it, and how many passage tokens were cut to make it fit."""

    prompt: str
    passages: tuple[Passage, ...]
    cut_tokens: int


def fit_passages(
    template: PromptTemplate, query: str, passages: Sequence[Passage], answer: str, limit: int, tokenizer: Tokenizer
) -> FittedPrompt:
    """The answering prompt, with passages cut until it and the continuation `answer` take at most `limit` tokens.

    The last passage, ranked lowest, gives way first, from its end; one that loses all its text is left out. For
    generation, `answer` is "" and `limit` the window less the tokens to be written.

    Raises:
        NotPossible: question and answer alone exceed the limit.
    """
    kept, cut = list(passages), 0
    while True:
        prompt = template.answering(query, kept)
        excess = _excess(tokenizer, prompt, answer, limit)
        if excess <= 0:
            return FittedPrompt(prompt, tuple(kept), cut)
        if not kept:
            raise NotPossible(
                f"the question {query[:60]!r} with its answer takes {limit + excess} tokens; {limit} fit the model",
                hint="leave this question out, or take a model with a longer window",
            )
        last = kept.pop()
        starts = tokenizer.starts(last.text)
        remaining = max(len(starts) - excess, 0)
        text = last.text[: starts[remaining]].rstrip() if remaining else ""
        cut += len(starts) - len(tokenizer.starts(text))
        if text:
            kept.append(replace(last, text=text))


def _excess(tokenizer: Tokenizer, prompt: str, continuation: str, limit: int) -> int:
    """Tokens of both beyond the limit; 0 or less where they fit.

    A short text is not encoded to count them: tokens are at most as many as bytes, a begin token and its like aside,
    unless a tokenizer writes single characters out as many.
    """
    bound = len("".join(tokenizer.frame(prompt, continuation)).encode()) + OPENING_TOKENS - limit
    return bound if bound <= 0 else count_tokens(tokenizer, prompt, continuation) - limit


def count_tokens(tokenizer: Tokenizer, prompt: str, continuation: str) -> int:
    """Number of tokens of prompt and continuation together, as the model reads them."""
    return len(tokenizer.encode(["".join(tokenizer.frame(prompt, continuation))])[0])
