"""What every backend does alike: encode by the one boundary rule, refuse what exceeds the window, plan batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from uae_bench.errors import BadInput
from uae_bench.lm.base import (
    EncodedPair,
    Generated,
    Pair,
    Plan,
    Sampling,
    Tokenizer,
    Tokens,
    encode_pairs,
    encode_texts,
    nth_seed,
)
from uae_bench.lm.resources import USUAL
from uae_bench.lm.sharing import Group, pack, share_prefixes, sort_key
from uae_bench.records import Likelihood

BATCH_CELLS = 32_768
"""Tokens of a planned batch, a shared prefix counted for every row: seconds of work for a small model on a CPU."""
WRITING_CELLS = 8_192
"""Tokens of a batch that is written together, padding included; bounds the memory."""
SAMPLING_CELLS = 32_768
"""The same where several texts follow a prompt, each counted as if it shared nothing with the others; they do."""
ENCODED_PAIRS = 200_000
"""Encoded pairs that are kept between plan and score: about a kilobyte each."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class PlannedModel(ABC):
    """A Scorer and a Generator but for the work itself: `score_batch` and `generate_batch` are the backend's."""

    spec = ""
    purse = USUAL

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.encoded: dict[Pair, EncodedPair] = {}

    @property
    @abstractmethod
    def window(self) -> int:
        """The most tokens that the model reads at once."""

    @abstractmethod
    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Likelihoods of one planned batch, in order."""

    @abstractmethod
    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """What the model writes after each prompt of one planned batch, in order."""

    def plan(self, pairs: Sequence[Pair]) -> Plan:
        """Batches of pairs that begin alike."""
        encoded = self.encode(pairs)
        batches, computed = plan_batches(encoded)
        tokens = sum(len(pair.ids) for pair in encoded)
        return Plan(tuple(batches), tokens, computed, sum(pair.backed_up for pair in encoded))

    def score(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Likelihoods in the order of the pairs, batch by batch of their plan."""
        return in_order(pairs, self.plan(pairs).batches, self.score_batch)

    def plan_generation(self, prompts: Sequence[str], sampling: Sampling) -> Plan:
        """Batches of prompts of nearly the same length."""
        return self.plan_writing(prompts, sampling, WRITING_CELLS)

    def plan_sampling(self, prompts: Sequence[str], sampling: Sampling, count: int) -> Plan:
        """Batches as for one text each: `sample_batch` writes the texts one after another."""
        return self.plan_writing(prompts, sampling, WRITING_CELLS)

    def sample_batch(self, prompts: Sequence[str], sampling: Sampling, count: int) -> list[list[Generated]]:
        """One planned batch: `count` texts after each prompt."""
        seeds = [nth_seed(sampling.seed, count, place) for place in range(count)]
        rounds = [self.generate_batch(prompts, replace(sampling, seed=seed)) for seed in seeds]
        return [list(texts) for texts in zip(*rounds, strict=True)]

    def plan_writing(self, prompts: Sequence[str], sampling: Sampling, cells: int, together: int = 1) -> Plan:
        """Batches of at most so many cells, of prompts of nearly the same length with `together` texts after each."""
        encoded = self.prompt_ids(prompts, sampling.max_tokens)
        order = sorted(range(len(prompts)), key=lambda index: (len(encoded[index]), sort_key(encoded[index])))
        sizes = [(len(encoded[index]) + sampling.max_tokens) * together for index in order]
        batches = tuple(tuple(order[span.start : span.stop]) for span in pack(sizes, cells, padded=True))
        tokens = sum(len(ids) for ids in encoded)
        return Plan(batches, tokens, computed=tokens)

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """What the model writes after each prompt, in order, batch by batch of their plan."""
        batches = self.plan_generation(prompts, sampling).batches
        return in_order(prompts, batches, lambda part: self.generate_batch(part, sampling))

    def encode(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        """Encoded pairs; what a plan encoded, its batches need not encode again.

        Raises:
            BadInput: a pair exceeds the window, or a continuation is empty.
        """
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.encoded]
        if len(self.encoded) + len(new) > ENCODED_PAIRS:
            self.encoded.clear()
            new = list(dict.fromkeys(pairs))
        fresh = dict(zip(new, encode_pairs(self.tokenizer, new), strict=True))
        for (prompt, _), pair in fresh.items():
            self._refuse_longer(prompt, len(pair.ids))
        self.encoded.update(fresh)
        return [self.encoded[pair] for pair in pairs]

    def prompt_ids(self, prompts: Sequence[str], room: int) -> list[Tokens]:
        """Ids of the framed prompts, each with room for so many tokens after it.

        Raises:
            BadInput: a prompt leaves less room.
        """
        framed = [self.tokenizer.frame(prompt, "")[0] for prompt in prompts]
        encoded = list(encode_texts(self.tokenizer, framed))
        for prompt, ids in zip(prompts, encoded, strict=True):
            self._refuse_longer(prompt, len(ids) + room)
        return encoded

    def _refuse_longer(self, prompt: str, tokens: int) -> None:
        if tokens > self.window:
            raise BadInput(
                f"a prompt with what follows takes {tokens} tokens, the model reads {self.window}: {prompt[:60]!r} ...",
                hint="build prompts with uae_bench.lm.base.fit_passages, which cuts passages and counts what it cut",
            )


def in_order(
    items: Sequence[Item], batches: Iterable[Sequence[int]], work: Callable[[Sequence[Item]], Sequence[Result]]
) -> list[Result]:
    """What `work` makes of each item, in their order, batch by batch (of indices)."""
    made: dict[int, Result] = {}
    for batch in batches:
        made.update(zip(batch, work([items[index] for index in batch]), strict=True))
    return [made[index] for index in range(len(items))]


def plan_batches(encoded: Sequence[EncodedPair]) -> tuple[list[tuple[int, ...]], int]:
    """Batches of indices and the number of tokens that the model will read.

    Groups that share a prefix stay together, unless larger than a batch, and come by length of prefix, then of the
    longest member: what is padded to one width is nearly of one width. Independent of the order of the pairs.
    """
    parts = [
        Group(group.length, group.members[span.start : span.stop])
        for group in groups_of(encoded)
        for span in pack([len(encoded[index].ids) for index in group.members], BATCH_CELLS, padded=False)
    ]
    sizes = {part: [len(encoded[index].ids) for index in part.members] for part in parts}
    parts.sort(key=lambda part: (part.length, max(sizes[part])))
    spans = pack([sum(sizes[part]) for part in parts], BATCH_CELLS, padded=False)
    batches = [tuple(index for part in parts[span.start : span.stop] for index in part.members) for span in spans]
    computed = sum(sum(sizes[part]) - (len(part.members) - 1) * part.length for part in parts)
    return batches, computed


def groups_of(encoded: Sequence[EncodedPair]) -> list[Group]:
    """Pairs that begin alike, up to the last token before the answer: that one predicts the answer's first."""
    order = sorted(range(len(encoded)), key=lambda index: (sort_key(encoded[index].ids), encoded[index].start))
    groups = share_prefixes([encoded[index].ids[: encoded[index].start - 1] for index in order])
    return [Group(group.length, tuple(order[at] for at in group.members)) for group in groups]
