"""Reranking with a cross-encoder: query and passage are read together, one scalar comes out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from uae_bench.errors import BadInput, ModelUnavailable
from uae_bench.lm.folder import require_whole
from uae_bench.prompts import shown
from uae_bench.records import Ranking, RetrievalView, Run
from uae_bench.retrieval.component import (
    Component,
    Reranked,
    Reranker,
    Resources,
    Settings,
    candidates,
    checked_depth,
    preset,
)
from uae_bench.retrieval.encoding import checked_folder
from uae_bench.weights import identify_below, model_files, read_json

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

OFFLINE = "the same command without this reranker"


class CrossEncoderSettings(Settings):
    """How pairs are read."""

    max_length: int | None = Field(default=None, ge=8, description="tokens of a pair that are read; unset: the model's")
    batch: int = Field(default=32, ge=1, description="pairs per pass")


class CrossEncoderReranker(Reranker):
    """Scores each query with each passage of its run. The model is loaded when the first run comes."""

    def __init__(self, name: str, spec: str, settings: CrossEncoderSettings, resources: Resources) -> None:
        self.name = name
        self.settings = settings
        self._spec = spec
        self._resources = resources

    @cached_property
    def model(self) -> CrossEncoder:
        """The loaded cross-encoder.

        Raises:
            ModelUnavailable: its files are not here, cannot be fetched, lack tensors, or give more than one output.
            BadInput: it is a model of another kind, its weights are no safetensors, or it wants to run code.
        """
        import torch
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        folder = checked_folder(self._spec, require_cross_encoder, offline=OFFLINE)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        require_whole("AutoModelForSequenceClassification", folder, "a model that was not trained to rank cannot")
        try:
            model: CrossEncoder = CrossEncoder(
                str(folder),
                device=self._resources.device,
                max_length=self.settings.max_length,
                local_files_only=True,
                trust_remote_code=False,
                activation_fn=torch.nn.Identity(),
                model_kwargs={"dtype": torch.float32, "use_safetensors": True},
            )
        except (OSError, ValueError, KeyError) as error:
            hint = "the folder needs weights and tokenizer of a sequence-classification model"
            raise ModelUnavailable(f"{folder} does not load as a cross-encoder: {error}", hint=hint) from error
        if model.num_labels != 1:
            raise ModelUnavailable(
                f"{self._spec} gives {model.num_labels} outputs per pair; a reranker gives one",
                hint="choose a model trained to rank",
            )
        return model.eval()

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        """The run's passages by the model's score, in the logits' unit.

        Facts: how many pairs were read, and how many of them are longer than the model reads.
        """
        checked_depth(depth)
        found = candidates(view, run)
        passages = {passage.id: shown(passage) for passage in view.passages}
        pairs = [(query, passage) for query in view.queries for passage in found[query.id]]
        order = sorted(range(len(pairs)), key=lambda index: len(passages[pairs[index][1]]))
        batches = [order[start : start + self.settings.batch] for start in range(0, len(order), self.settings.batch)]
        by_query: dict[str, dict[str, float]] = {query.id: {} for query in view.queries}
        truncated = 0
        for batch in self._resources.progress.track(batches, total=len(batches), label=self.name):
            texts = [(pairs[index][0].text, passages[pairs[index][1]]) for index in batch]
            scores, cut = self._read(texts)
            truncated += cut
            for index, score in zip(batch, scores, strict=True):
                query, passage = pairs[index]
                by_query[query.id][passage] = score
        rankings = {query: Ranking.from_scores(row, depth) for query, row in by_query.items()}
        facts = {f"{self.name}: pairs": len(pairs), f"{self.name}: pairs_truncated": truncated}
        return Reranked(Run(self.name, depth, rankings), facts)

    def _read(self, texts: list[tuple[str, str]]) -> tuple[list[float], int]:
        """The logit of each pair, and how many pairs are longer than the model reads."""
        import torch
        from sentence_transformers.util import batch_to_device

        model: Any = self.model
        prompt = model.prompts.get(model.default_prompt_name)  # as `predict` reads it
        features = model.preprocess(texts, prompt=prompt)
        limit = min(model.max_seq_length or sys.maxsize, sys.maxsize)  # some tokenizers say 10^30
        full = (features["attention_mask"].sum(dim=1) >= limit).nonzero().flatten().tolist()
        cut = 0
        if full:  # such a pair was cut, or just fits
            whole = {"text": {"truncation": False, "verbose": False}}
            again = model.preprocess([texts[row] for row in full], prompt=prompt, processing_kwargs=whole)
            cut = int((again["attention_mask"].sum(dim=1) > limit).sum())
        with torch.inference_mode():
            scores = model(batch_to_device(features, model.device))["scores"]  # (B, 1)
        return scores.reshape(-1).tolist(), cut


def require_cross_encoder(folder: Path) -> None:
    """Nothing where a folder holds a cross-encoder: others would get a head that is drawn by lot.

    Raises:
        BadInput: it holds another model.
    """
    architectures = read_json(folder / "config.json").get("architectures")
    named = list(map(str, architectures)) if isinstance(architectures, list) else []
    if not any(name.endswith("ForSequenceClassification") for name in named):
        what = f"is a {named[0]}" if named else "does not say of what class it is"
        raise BadInput(
            f"{folder} holds no cross-encoder: the model {what}, without a head that scores pairs",
            hint="a bi-encoder is dense:NAME, a language model pointwise:hf:NAME; a sequence classifier fits here",
        )


def _build(argument: str, settings: CrossEncoderSettings, resources: Resources) -> CrossEncoderReranker:
    return CrossEncoderReranker(f"cross-encoder:{argument}", argument, settings, resources)


def _identity(argument: str, settings: CrossEncoderSettings) -> Mapping[str, str]:
    folder = checked_folder(argument, require_cross_encoder, offline=OFFLINE)
    return {"model": argument, "files": identify_below(folder, model_files(folder))}


CROSS_ENCODER = Component(
    shapes=("R->R",),
    config=CrossEncoderSettings,
    build=_build,
    identity=_identity,
    version=4,
    argument="a cross-encoder's name or folder",
)
BGE_RERANKER = preset(CROSS_ENCODER, "cross-encoder", "bge-reranker", "BAAI/bge-reranker-v2-m3")
