"""The bi-encoder: texts to unit vectors, on sentence-transformers, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from uae_bench.encoder_source import PRESETS, encoder_identity, is_nv_embed, locate_encoder
from uae_bench.errors import BadInput, ModelUnavailable, UaeBenchError, UsageError
from uae_bench.progress import SILENT, Progress
from uae_bench.records import batches

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["BATCH", "PRESETS", "BiEncoder", "Vectors", "encoder_identity"]

BATCH = 32  # of texts of like length; another size changes the last digits of a vector
Vectors = NDArray[np.float32]
Encoding = TypeVar("Encoding")


class BiEncoder:
    """A loaded encoder. Rows of its matrices are unit vectors, so that an inner product is a cosine.

    `query_prefix` and `passage_prefix` are put before every text; `max_length` is in tokens, None = without bound.
    """

    def __init__(self, model: SentenceTransformer, query_prefix: str, passage_prefix: str) -> None:
        self.model = model
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix

    @classmethod
    def load(
        cls,
        spec: str,
        device: str = "cpu",
        *,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        max_length: int | None = None,
    ) -> BiEncoder:
        """Load the encoder behind a spec (see `encoder_source`); None leaves a value as the model has it.

        Raises:
            ModelUnavailable, BadInput, UnknownName: as `locate_encoder`; or its files do not load.
            UsageError: the device is not there, or `max_length` is more than the model has positions for.
        """
        source = locate_encoder(spec)
        model = _load_nv_embed(source.folder, device) if is_nv_embed(source.folder) else _load(source.folder, device)
        if max_length is not None:
            set_max_length(model, spec, max_length)
        elif source.max_length is not None:
            model.max_seq_length = min(source.max_length, _positions(model) or source.max_length)
        return cls(
            model,
            source.query_prefix if query_prefix is None else query_prefix,
            source.passage_prefix if passage_prefix is None else passage_prefix,
        )

    @cached_property
    def dimension(self) -> int:
        """D, the length of a vector."""
        return len(self.model.encode_query("a", prompt=self.query_prefix, show_progress_bar=False))

    @property
    def max_length(self) -> int | None:
        """How many tokens of a text are read, prefix and special tokens included."""
        length: float | None = self.model.max_seq_length
        return None if length is None or length == float("inf") else int(length)

    def encode_queries(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Unit vectors of queries, (Q, D), in the order of the texts.

        Equal texts have equal vectors, and a blank one, being like nothing, the zero vector. The same texts give the
        same bytes on the same machine and thread count.

        Raises:
            BadInput: the model gives nan or an infinity.
        """
        return self._encode(texts, self.model.encode_query, self.query_prefix, progress, "encode queries")

    def encode_passages(self, texts: Sequence[str], progress: Progress = SILENT) -> Vectors:
        """Unit vectors of passages, (C, D); otherwise as `encode_queries`."""
        return self._encode(texts, self.model.encode_document, self.passage_prefix, progress, "encode passages")

    def truncated_passages(self, texts: Sequence[str]) -> int:
        """How many of the passages are longer than the model reads."""
        return count_truncated(self.model.tokenizer, texts, self.passage_prefix, self.max_length)

    def _encode(
        self, texts: Sequence[str], encode: Callable[..., Any], prefix: str, progress: Progress, label: str
    ) -> Vectors:
        def rows(batch: list[str]) -> list[Vectors]:
            vectors: Vectors = encode(
                batch, prompt=prefix, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
            if not np.isfinite(vectors).all():
                raise BadInput("the encoder gives nan or an infinity", hint="use another: its weights are damaged")
            return list(vectors)

        nothing: Vectors = np.zeros(self.dimension, dtype=np.float32)
        found = encode_distinct(texts, rows, nothing, progress, label)
        return np.stack(found) if found else np.zeros((0, self.dimension), dtype=np.float32)


def encode_distinct(
    texts: Sequence[str],
    encode: Callable[[list[str]], Sequence[Encoding]],
    blank: Encoding,
    progress: Progress,
    label: str,
) -> list[Encoding]:
    """The encoding of each text. Equal texts are encoded once, and blank ones, being like nothing, are `blank`.

    Longest first: batches hold texts of like length, and too little memory shows at once.
    """
    distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (-len(text), text))
    found: dict[str, Encoding] = {}
    spans = list(batches(len(distinct), BATCH))
    for span in progress.track(spans, total=len(spans), label=label):
        batch = distinct[span.start : span.stop]
        found.update(zip(batch, encode(batch), strict=True))
    return [found.get(text, blank) for text in texts]


def count_truncated(tokenizer: Any, texts: Sequence[str], prefix: str, longest: int | None) -> int:
    """How many texts, with the prefix, have more than `longest` tokens; None is without bound."""
    if longest is None or not texts:
        return 0
    encoded = tokenizer([prefix + text for text in texts], truncation=False, padding=False, verbose=False)
    return sum(len(ids) > longest for ids in encoded["input_ids"])


def checked_device(device: str) -> str:
    """The device itself.

    Raises:
        UsageError: torch does not know it or the machine does not have it.
    """
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"the device {device!r} cannot be used: {why}", hint="--device cpu always works") from error
    return device


def load_model(kind: str, folder: Path, device: str) -> Any:
    """The model in a folder, of a class of sentence-transformers: float32, safetensors, no code from the folder.

    Raises:
        UsageError: the device is not there. ModelUnavailable: its files do not load.
    """
    import sentence_transformers
    import torch

    checked_device(device)
    with _loading(folder):
        model = getattr(sentence_transformers, kind)(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
    return model.eval()


def _load(folder: Path, device: str) -> SentenceTransformer:
    model: SentenceTransformer = load_model("SentenceTransformer", folder, device)
    return model


def _load_nv_embed(folder: Path, device: str) -> SentenceTransformer:
    from uae_bench import nv_embed

    checked_device(device)
    with _loading(folder):
        return nv_embed.load(folder, device)


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Silence, and one error for all that may be wrong with files."""
    try:
        with _no_progress_bar():
            yield
    except UaeBenchError:
        raise
    except Exception as error:  # three libraries read these files, each failing in its own way
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise ModelUnavailable(
            f"the encoder in {folder} does not load: {why}", hint="copy or download its files again"
        ) from error


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _positions(model: Any) -> int | None:
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return getattr(config, "max_position_embeddings", None)


def set_max_length(model: Any, spec: str, max_length: int) -> None:
    """Have a model read so many tokens of a text.

    Raises:
        UsageError: they are more than it has positions for.
    """
    require_positions(model, spec, max_length)
    model.max_seq_length = max_length


def require_positions(model: Any, spec: str, max_length: int) -> None:
    """Nothing where a model has positions for so many tokens.

    Raises:
        UsageError: it has fewer.
    """
    positions = _positions(model)
    if positions is not None and max_length > positions:
        raise UsageError(
            f"max_length={max_length} is more than the {positions} positions that {spec} has",
            hint=f"set at most {positions}",
        )
