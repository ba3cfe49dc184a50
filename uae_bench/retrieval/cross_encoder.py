"""Reranking with a cross-encoder: query and passage are read together, one scalar comes out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field

from uae_bench.errors import ModelUnavailable
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
from uae_bench.weights import identify_below, model_files, model_folder

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
            ModelUnavailable: its files are not here, cannot be fetched, or are no cross-encoder with one output.
        """
        import torch
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        folder = model_folder(self._spec, offline=OFFLINE)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
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
        return model

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        """The run's passages by the model's score, in the logits' unit."""
        checked_depth(depth)
        found = candidates(view, run)
        passages = {passage.id: shown(passage) for passage in view.passages}
        pairs = [(query, passage) for query in view.queries for passage in found[query.id]]
        order = sorted(range(len(pairs)), key=lambda index: len(passages[pairs[index][1]]))
        batches = [order[start : start + self.settings.batch] for start in range(0, len(order), self.settings.batch)]
        by_query: dict[str, dict[str, float]] = {query.id: {} for query in view.queries}
        for batch in self._resources.progress.track(batches, total=len(batches), label=self.name):
            texts = [(pairs[index][0].text, passages[pairs[index][1]]) for index in batch]
            scores: Any = self.model.predict(texts, batch_size=len(texts), show_progress_bar=False)
            for index, score in zip(batch, scores, strict=True):
                query, passage = pairs[index]
                by_query[query.id][passage] = float(score)
        rankings = {query: Ranking.from_scores(row, depth) for query, row in by_query.items()}
        return Reranked(Run(self.name, depth, rankings))


def _build(argument: str, settings: CrossEncoderSettings, resources: Resources) -> CrossEncoderReranker:
    return CrossEncoderReranker(f"cross-encoder:{argument}", argument, settings, resources)


def _identity(argument: str, settings: CrossEncoderSettings) -> Mapping[str, str]:
    folder = model_folder(argument, offline=OFFLINE)
    return {"model": argument, "files": identify_below(folder, model_files(folder))}


CROSS_ENCODER = Component(
    shapes=("R->R",),
    config=CrossEncoderSettings,
    build=_build,
    identity=_identity,
    version=3,
    argument="a cross-encoder's name or folder",
)
BGE_RERANKER = preset(CROSS_ENCODER, "cross-encoder", "bge-reranker", "BAAI/bge-reranker-v2-m3")
