"""The student f_φ: a bi-encoder, trained whole, by LoRA, or by a linear map on top of the frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from torch import Tensor, nn
from torch.utils.data import Sampler

from uae_bench.encoder import BiEncoder
from uae_bench.progress import Progress
from uae_bench.systems.fitting import History, KeepBest, PairedLooks, Schedule, fit, settle
from uae_bench.systems.tensors import Features, Inputs, Rows, VectorRows, by_length, numbered, padded
from uae_bench.systems.uae.config import StudentOptions
from uae_bench.systems.uae.data import CandidateSet, Labelled, Scores
from uae_bench.systems.uae.lora import fold, inject
from uae_bench.systems.uae.loss import student_log_distribution, uae_loss
from uae_bench.systems.uae.teacher import Lesson

ENCODING_BATCH = 64


class CandidateLoss(nn.Module):
    """`uae_loss` of a bi-encoder over a batch of candidate sets, as its trainer calls it."""

    def __init__(self, model: SentenceTransformer, tau: float) -> None:
        super().__init__()
        self.model = model
        self.tau = tau

    def forward(self, features: list[Features], labels: Mapping[str, Tensor]) -> Tensor:
        """Queries (B, D) and the batch's distinct passages (U, D); `labels["index"]` (B, K) points into the latter."""
        queries, passages = (unit(self.model(part)["sentence_embedding"]) for part in features)
        student = student_log_distribution(queries, passages[labels["index"]], labels["members"], self.tau)
        return uae_loss(labels["teacher"], student)


class ByDocument(Sampler[int]):
    """Documents in random order, the queries of one together: they share candidates, and a batch encodes each once."""

    def __init__(self, documents: Sequence[str], generator: torch.Generator | None) -> None:
        self.rows: dict[str, list[int]] = {}
        for row, document in enumerate(documents):
            self.rows.setdefault(document, []).append(row)
        self.count = len(documents)
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        groups = list(self.rows.values())
        for place in torch.randperm(len(groups), generator=self.generator).tolist():
            yield from groups[place]

    def __len__(self) -> int:
        return self.count


class StudentTrainer(SentenceTransformerTrainer):
    """The library's trainer with batches by document and without its model card: the product has its own."""

    def get_batch_sampler(
        self, dataset: Any, batch_size: int, drop_last: bool, valid_label_columns: Any = None,
        generator: torch.Generator | None = None, seed: int = 0,
    ) -> DefaultBatchSampler:  # fmt: skip
        """Batches of sets in the order of `ByDocument`; rows carry their `document`."""
        return DefaultBatchSampler(
            ByDocument(dataset["document"], generator), batch_size=batch_size, drop_last=drop_last,
            valid_label_columns=valid_label_columns, generator=generator, seed=seed,
        )  # fmt: skip

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Adds none: it would run the model on examples from the data."""


@dataclass(frozen=True, slots=True)
class Collator:
    """Gathers candidate sets into one batch in which every passage is encoded once."""

    inputs: Inputs
    sets: Sequence[CandidateSet]
    labels: Sequence[Sequence[float]]
    valid_label_columns: tuple[str, ...] = ()

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        chosen = [row["set"] for row in rows]
        distinct = {passage: None for number in chosen for passage in self.sets[number].passages}
        place = {passage: position for position, passage in enumerate(distinct)}
        index, members = padded([[place[p] for p in self.sets[number].passages] for number in chosen], torch.int64)
        teacher, _ = padded([self.labels[number] for number in chosen], torch.float32)
        queries = self.inputs.rows.gather([self.inputs.query[self.sets[number].query] for number in chosen])
        passages = self.inputs.rows.gather([self.inputs.passage[passage] for passage in distinct])
        return {
            **{f"query_{name}": value for name, value in queries.items()},
            **{f"passage_{name}": value for name, value in passages.items()},
            "label": {"teacher": teacher, "index": index, "members": members},
        }


class DevMeasures(SentenceEvaluator):
    """ExpUtil@1 (the mean utility of the first candidate) and Success@1 (d⁺ or further evidence is first) on dev.

    Nothing is gated here: every labelled candidate of every dev query is ranked. `gain_error` is the standard error of
    the mean paired difference in ExpUtil@1 to the first call, the untrained start.
    """

    def __init__(self, inputs: Inputs, items: Sequence[Labelled], utilities: Scores) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inputs = inputs
        self.items = items
        self.utilities = utilities
        self._looks = PairedLooks()

    def __call__(self, model: Any, output_path: Any = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:
        rows = {self.inputs.query[item.query.id] for item in self.items}
        rows |= {self.inputs.passage[passage] for item in self.items for passage in item.candidates}
        vectors = encode(model, self.inputs.rows, sorted(rows))
        first = [self._first(item, vectors) for item in self.items]
        utility = np.array([self.utilities[i.query.id][p] for i, p in zip(self.items, first, strict=True)])
        hits = [p == i.positive or p in i.further_evidence for i, p in zip(self.items, first, strict=True)]
        return {**self._looks.look(utility), "Success@1": float(np.mean(hits))}

    def _first(self, item: Labelled, vectors: Mapping[int, Tensor]) -> str:
        query = vectors[self.inputs.query[item.query.id]]
        scores = {passage: float(query @ vectors[self.inputs.passage[passage]]) for passage in item.candidates}
        return min(scores, key=lambda passage: (-scores[passage], passage))


def unit(vectors: Tensor) -> Tensor:
    """Rows of length one."""
    return nn.functional.normalize(vectors.float(), dim=1)


def embedded(encoder: BiEncoder, queries: Mapping[str, str], passages: Mapping[str, str], progress: Progress) -> Inputs:
    """Texts by id as unit embeddings of the starting encoder; it serves mining, and the mode "adapter" as input."""
    vectors = np.concatenate(
        [
            encoder.encode_queries(list(queries.values()), progress),
            encoder.encode_passages(list(passages.values()), progress),
        ]
    )
    return Inputs(VectorRows(torch.from_numpy(vectors)), *numbered(queries, passages))


def encode(model: SentenceTransformer, rows: Rows, wanted: Sequence[int]) -> dict[int, Tensor]:
    """Unit embeddings (D,) on the CPU by row; rows of like length are encoded together."""
    vectors: dict[int, Tensor] = {}
    training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in by_length(rows, wanted, ENCODING_BATCH):
            features = {name: value.to(model.device) for name, value in rows.gather(batch).items()}
            vectors.update(zip(batch, unit(model(features)["sentence_embedding"]).cpu(), strict=True))
    model.train(training)
    return vectors


def similarities(embeddings: Inputs, items: Sequence[Labelled]) -> dict[str, dict[str, float]]:
    """⟨f(q), f(d)⟩ of the starting encoder for every labelled candidate."""
    vectors = embeddings.rows.gather(range(len(embeddings.query) + len(embeddings.passage)))["sentence_embedding"]
    table: dict[str, dict[str, float]] = {}
    for item in items:
        passages = vectors[[embeddings.passage[passage] for passage in item.candidates]]
        scores = passages @ vectors[embeddings.query[item.query.id]]
        table[item.query.id] = dict(zip(item.candidates, scores.tolist(), strict=True))
    return table


def trainable(encoder: BiEncoder, options: StudentOptions) -> SentenceTransformer:
    """What the mode trains: the encoder itself, with LoRA in it, or a linear map that takes its embeddings.

    The map is x + Δx with Δ = 0 at the start, so that weight decay pulls towards the starting encoder.
    """
    if options.mode == "lora":
        inject(encoder.model[0].auto_model, options)
    if options.mode != "adapter":
        return encoder.model
    width = encoder.dimension
    start = torch.zeros(width, width)
    change = Dense(width, width, bias=False, activation_function=None, init_weight=start, use_residual=True)
    return SentenceTransformer(modules=[change, Normalize()], device=str(encoder.model.device))


def assembled(encoder: BiEncoder, trained: SentenceTransformer, options: StudentOptions) -> SentenceTransformer:
    """The product: an ordinary bi-encoder, LoRA folded into its weights, or the map appended as one dense layer."""
    if options.mode == "lora":
        fold(encoder.model[0].auto_model)
    product = encoder.model
    if options.mode == "adapter":
        width, device = encoder.dimension, encoder.model.device
        weight = torch.eye(width, device=device) + dict(trained.named_parameters())["0.linear.weight"].detach()
        layer = Dense(width, width, bias=False, activation_function=None, init_weight=weight)
        ends = [] if isinstance(encoder.model[-1], Normalize) else [Normalize()]
        product = SentenceTransformer(modules=[*encoder.model, *ends, layer, Normalize()], device=str(device))
    product.prompts = {"query": encoder.query_prefix, "document": encoder.passage_prefix}
    return product


def train_student(
    model: SentenceTransformer, inputs: Inputs, lesson: Lesson, measures: DevMeasures,
    options: StudentOptions, seed: int, progress: Progress,
) -> History:  # fmt: skip
    """Fits the student by `uae_loss`; the weights of highest dev ExpUtil@1 are kept.

    They are kept only if they beat the start by `min_gain` standard errors of the paired difference; else the start is.
    """
    rates = {
        "full": options.full_learning_rate,
        "lora": options.lora_learning_rate,
        "adapter": options.adapter_learning_rate,
    }
    schedule = Schedule(
        batch=options.batch, epochs=options.epochs, evaluations=options.evaluations,
        warmup=options.warmup, weight_decay=options.weight_decay, learning_rate=rates[options.mode],
        precision=options.precision,
    )  # fmt: skip
    sets = [*lesson.train, *lesson.dev]
    rows = Dataset.from_dict({"set": list(range(len(sets))), "document": [each.document for each in sets]})
    keep = KeepBest("eval_ExpUtil@1", higher_is_better=True, patience=options.patience)
    history = fit(
        StudentTrainer, SentenceTransformerTrainingArguments, schedule, keep,
        model=model, rows=len(lesson.train), seed=seed, progress=progress, label="student",
        train_dataset=rows.select(range(len(lesson.train))),
        eval_dataset=rows.select(range(len(lesson.train), len(sets))) if lesson.dev else None,
        loss=CandidateLoss(model, options.tau), evaluator=measures,
        data_collator=Collator(inputs, sets, [*lesson.train_labels, *lesson.dev_labels]),
    )  # fmt: skip
    settle(model, keep, options.min_gain)
    return history
