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
from transformers.utils import logging

from uae_bench.errors import NotPossible
from uae_bench.lm.base import Contrast, EncodedPair, Generated, Pair, Plan, Sampling, aligned
from uae_bench.lm.folder import FolderModel, load_whole
from uae_bench.lm.local import Dtype
from uae_bench.lm.planned import SAMPLING_CELLS, plan_batches
from uae_bench.lm.resources import LmResources
from uae_bench.lm.scoring import contrast_encoded, score_encoded, states_encoded
from uae_bench.lm.writing import write
from uae_bench.records import Likelihood

# transformers prints bars and advice to stderr; what is printed is the command line's business
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
logging.set_verbosity_error()  # type: ignore[no-untyped-call]


class HfModel(FolderModel):
    """Speaks all protocols of `base`. The weights are read when the first batch needs them, not before."""

    def __init__(self, folder: Path, device: str, dtype: Dtype, window: int | None = None) -> None:
        super().__init__(folder, dtype, window)
        self.device = device

    @cached_property
    def network(self) -> Any:
        """The transformers model, in eval mode on its device."""
        return load_network(self.folder, self.device, self.dtype)

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """One planned batch; the same pairs in the same order give the same bits."""
        encoded, network = self.encode(pairs), self.network
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

    def plan_contrasts(self, contrasts: Sequence[Contrast]) -> Plan:
        """Batches of contrasts whose prompts with a passage begin alike."""
        both = self._encode_contrasts(contrasts)
        batches, computed = plan_batches([given for given, _ in both])
        tokens: dict[Pair, int] = {}
        for pairs, encoded in zip(contrasts, both, strict=True):
            tokens.update((pair, len(one.ids)) for pair, one in zip(pairs, encoded, strict=True))
        again = sum(sum(tokens[pair] for pair in {contrasts[index][1] for index in batch}) for batch in batches)
        backed_up = sum(given.backed_up for given, _ in both)
        return Plan(tuple(batches), sum(tokens.values()), computed + again, backed_up)

    def contrast_batch(self, contrasts: Sequence[Contrast], alpha: float) -> list[Likelihood]:
        """One planned batch; the same contrasts in the same order give the same bits."""
        both, network = self._encode_contrasts(contrasts), self.network
        given, closed = [pair for pair, _ in both], [pair for _, pair in both]
        with _on(self.device):
            logprobs = contrast_encoded(network, given, closed, alpha)
        return [Likelihood(logprob, pair.scored) for logprob, pair in zip(logprobs, given, strict=True)]

    def _encode_contrasts(self, contrasts: Sequence[Contrast]) -> list[tuple[EncodedPair, EncodedPair]]:
        encoded = self.encode([pair for contrast in contrasts for pair in contrast])
        return [aligned(given, closed) for given, closed in zip(encoded[::2], encoded[1::2], strict=True)]

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """One planned batch."""
        return [text for (text,) in self.sample_batch(prompts, sampling, 1)]

    def plan_sampling(self, prompts: Sequence[str], sampling: Sampling, count: int) -> Plan:
        """Batches for all texts together: the memory that they take is bounded."""
        return self.plan_writing(prompts, sampling, SAMPLING_CELLS, count)

    def sample_batch(self, prompts: Sequence[str], sampling: Sampling, count: int) -> list[list[Generated]]:
        """One planned batch; a prompt, and whatever its texts share, is read once."""
        encoded, ends = self.prompt_ids(prompts, sampling.max_tokens), self._ends()
        with _on(self.device):
            return write(self.network, encoded, sampling, ends, self.tokenizer.decode, count)

    def _read_whole(self, prompts: Sequence[str]) -> list[EncodedPair]:
        """Prompts in which nothing is scored."""
        return [EncodedPair(ids, len(ids), backed_up=0) for ids in self.prompt_ids(prompts, room=0)]

    def _ends(self) -> frozenset[int]:
        named = [self.tokenizer.inner.eos_token_id, self.network.generation_config.eos_token_id]
        flat = [end for ends in named for end in (ends if isinstance(ends, list) else [ends])]
        return frozenset(end for end in flat if end is not None)


@contextmanager
def open_model(folder: Path, dtype: Dtype, resources: LmResources, window: int | None) -> Iterator[HfModel]:
    """A model whose memory is given back on exit."""
    model = HfModel(folder, resources.device, dtype, window)
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
    otherwise = "an encoder without an output layer is no language model"
    network = load_whole("AutoModelForCausalLM", folder, dtype, otherwise)
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
