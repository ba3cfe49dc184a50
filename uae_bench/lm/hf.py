"""Local language models on transformers: any causal model in a folder of safetensors, on a CPU or a GPU."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from uae_bench.errors import BadInput, ModelUnavailable, NotPossible
from uae_bench.lm.base import EncodedPair, Generated, Pair, Plan, Sampling, Tokens, encode_pairs, encode_texts
from uae_bench.lm.local import Dtype
from uae_bench.lm.scoring import FORWARD_CELLS, plan_batches, score_encoded, states_encoded
from uae_bench.lm.sharing import pack, sort_key
from uae_bench.lm.tokenizer import HfTokenizer
from uae_bench.lm.writing import write
from uae_bench.records import Likelihood

ENCODED_PAIRS = 200_000
"""Encoded pairs that are kept between plan and score: about a kilobyte each."""

# transformers prints bars and advice to stderr; what is printed is the command line's business
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
logging.set_verbosity_error()  # type: ignore[no-untyped-call]


class HfModel:
    """A Scorer, a Generator and a StateReader. The weights are read when the first batch needs them, not before."""

    def __init__(self, folder: Path, device: str, dtype: Dtype) -> None:
        self.folder = folder
        self.device = device
        self.dtype = dtype
        self.tokenizer = HfTokenizer.load(folder)
        self.encoded: dict[Pair, EncodedPair] = {}

    @cached_property
    def window(self) -> int:
        """The most tokens that the model reads at once, by its configuration and its tokenizer."""
        with _explained(self.folder):
            config = AutoConfig.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)
        positions = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
        limit = int(self.tokenizer.inner.model_max_length)
        return limit if positions is None else min(limit, int(positions))

    @cached_property
    def network(self) -> Any:
        """The transformers model, in eval mode on its device."""
        return load_network(self.folder, self.device, self.dtype)

    def plan(self, pairs: Sequence[Pair]) -> Plan:
        """Batches of pairs that begin alike."""
        encoded = self._encode(pairs)
        batches, computed = plan_batches(encoded)
        tokens = sum(len(pair.ids) for pair in encoded)
        return Plan(tuple(batches), tokens, computed, sum(pair.backed_up for pair in encoded))

    def score(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Likelihoods in the order of the pairs, batch by batch of their plan."""
        scored: dict[int, Likelihood] = {}
        for batch in self.plan(pairs).batches:
            scored.update(zip(batch, self.score_batch([pairs[index] for index in batch]), strict=True))
        return [scored[index] for index in range(len(pairs))]

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """One planned batch; the same pairs in the same order give the same bits."""
        encoded, network = self._encode(pairs), self.network
        with _on(self.device):
            logprobs = score_encoded(network, encoded)
        return [Likelihood(logprob, pair.scored) for logprob, pair in zip(logprobs, encoded, strict=True)]

    def plan_reading(self, prompts: Sequence[str]) -> Plan:
        """Batches of prompts that begin alike."""
        encoded = self._read_whole(prompts)
        batches, computed = plan_batches(encoded)
        return Plan(tuple(batches), sum(len(prompt.ids) for prompt in encoded), computed)

    def read_batch(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One planned batch: the last layer's state at the last token of each prompt, (B, D)."""
        encoded, network = self._read_whole(prompts), self.network
        with _on(self.device):
            return np.stack(states_encoded(network, encoded))

    def plan_generation(self, prompts: Sequence[str], sampling: Sampling) -> Plan:
        """Batches of prompts of nearly the same length."""
        encoded = self._prompt_ids(prompts, sampling.max_tokens)
        order = sorted(range(len(prompts)), key=lambda index: (len(encoded[index]), sort_key(encoded[index])))
        sizes = [len(encoded[index]) + sampling.max_tokens for index in order]
        batches = tuple(tuple(order[span.start : span.stop]) for span in pack(sizes, FORWARD_CELLS, padded=True))
        tokens = sum(len(ids) for ids in encoded)
        return Plan(batches, tokens, computed=tokens)

    def generate(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """What the model writes after each prompt, in order, batch by batch of their plan."""
        written: dict[int, Generated] = {}
        for batch in self.plan_generation(prompts, sampling).batches:
            part = self.generate_batch([prompts[index] for index in batch], sampling)
            written.update(zip(batch, part, strict=True))
        return [written[index] for index in range(len(prompts))]

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """One planned batch."""
        encoded, ends = self._prompt_ids(prompts, sampling.max_tokens), self._ends()
        with _on(self.device):
            return write(self.network, encoded, sampling, ends, self.tokenizer.decode)

    def _encode(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        """Encoded pairs; what a plan encoded, its batches need not encode again."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.encoded]
        if len(self.encoded) + len(new) > ENCODED_PAIRS:
            self.encoded.clear()
            new = list(dict.fromkeys(pairs))
        fresh = dict(zip(new, encode_pairs(self.tokenizer, new), strict=True))
        for (prompt, _), pair in fresh.items():
            self._refuse_longer(prompt, len(pair.ids))
        self.encoded.update(fresh)
        return [self.encoded[pair] for pair in pairs]

    def _read_whole(self, prompts: Sequence[str]) -> list[EncodedPair]:
        """Prompts in which nothing is scored."""
        return [EncodedPair(ids, len(ids), backed_up=0) for ids in self._prompt_ids(prompts, room=0)]

    def _prompt_ids(self, prompts: Sequence[str], room: int) -> list[Tokens]:
        """Ids of the framed prompts, each with room for so many tokens after it."""
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

    def _ends(self) -> frozenset[int]:
        named = [self.tokenizer.inner.eos_token_id, self.network.generation_config.eos_token_id]
        flat = [end for ends in named for end in (ends if isinstance(ends, list) else [ends])]
        return frozenset(end for end in flat if end is not None)


@contextmanager
def open_model(folder: Path, device: str, dtype: Dtype) -> Iterator[HfModel]:
    """A model whose memory is given back on exit."""
    model = HfModel(folder, device, dtype)
    try:
        yield model
    finally:
        model.__dict__.pop("network", None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def load_network(folder: Path, device: str, dtype: Dtype) -> Any:
    """A causal model from safetensors, every weight of it from the files.

    Raises:
        ModelUnavailable: files missing, damaged, of an unknown class, in need of remote code, or not a whole model.
        NotPossible: there is no such device, or the model does not fit it.
    """
    _require(device)
    with _explained(folder):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    network, report = loaded
    if report["missing_keys"]:
        lacking = sorted(report["missing_keys"])
        raise ModelUnavailable(
            f"the weights in {folder} lack {len(lacking)} of the model's tensors, first {lacking[0]!r}",
            hint="copy the folder again; an encoder without an output layer is no language model",
        )
    with _on(device):
        return network.to(device).eval()


def _require(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise NotPossible(f"cannot compute on {device!r}: {error}", hint="take --device cpu") from error


@contextmanager
def _on(device: str) -> Iterator[None]:
    """Say that a device is too small; any other error of torch is a bug and stays as it is."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not re.search(r"out of memory|_ALLOC_FAILED", str(error)):
            raise
        hint = "take a smaller model, bfloat16, or --device cpu"
        raise NotPossible(f"the memory of {device} is too small for this model", hint=hint) from error


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        hint = "it needs config.json of a class that transformers knows and safetensors; remote code is never run"
        raise ModelUnavailable(f"the model in {folder} cannot be loaded: {error}", hint=hint) from error
