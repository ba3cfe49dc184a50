"""Models whose files lie in a folder of this machine: their tokenizer and their window."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from uae_bench.errors import ModelUnavailable
from uae_bench.lm.local import Dtype
from uae_bench.lm.planned import PlannedModel
from uae_bench.lm.tokenizer import HfTokenizer


class FolderModel(PlannedModel):
    """A planned model with its tokenizer read; `dtype` is that of the weights, which are read later."""

    tokenizer: HfTokenizer

    def __init__(self, folder: Path, dtype: Dtype, limit: int | None) -> None:
        super().__init__(HfTokenizer.load(folder))
        self.folder = folder
        self.dtype = dtype
        self.limit = limit

    @cached_property
    def window(self) -> int:
        """The most tokens that the model reads at once."""
        return self.positions()

    def positions(self) -> int:
        """The least of what configuration, tokenizer and the user's limit say."""
        from transformers import AutoConfig

        with explained(self.folder):
            config = AutoConfig.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)
        positions = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
        told = (positions, self.tokenizer.inner.model_max_length, self.limit)
        return min(int(limit) for limit in told if limit is not None)


def load_whole(kind: str, folder: Path, dtype: Dtype, otherwise: str) -> Any:
    """A model of a class of transformers (`AutoModelForCausalLM`), on the CPU, every weight of it from safetensors.

    Raises:
        ModelUnavailable: files missing, damaged, of an unknown class, in need of remote code, or weights missing, which
            transformers would draw by lot; `otherwise` says what such a model is not.
    """
    return _load(kind, folder, dtype, otherwise, None)


def require_whole(kind: str, folder: Path, otherwise: str) -> None:
    """Nothing where `load_whole` would load a model; no room is taken for its weights.

    Raises:
        ModelUnavailable: as `load_whole`.
    """
    _load(kind, folder, "float32", otherwise, "meta")


def _load(kind: str, folder: Path, dtype: Dtype, otherwise: str, device: str | None) -> Any:
    import torch
    import transformers

    with explained(folder):
        loaded: Any = getattr(transformers, kind).from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map=device,
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
            hint=f"copy the folder again; {otherwise}",
        )
    return network


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """What a library says of a model that it cannot load becomes a ModelUnavailable."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        hint = "it needs a config.json that transformers knows, safetensors and a tokenizer; remote code is never run"
        raise ModelUnavailable(f"the model in {folder} cannot be loaded: {error}", hint=hint) from error
