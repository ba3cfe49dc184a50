"""How GainRAG's selector is trained, top to bottom: gains, pairs, a cross-encoder that learns them, directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder, CrossEncoderTrainingArguments
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from torch import Tensor, nn

from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import shown
from uae_bench.records import Query, TrainingSet
from uae_bench.systems.fitting import (
    History,
    KeepBest,
    PairedLooks,
    Schedule,
    deterministic,
    fit,
    quiet,
    settle,
)
from uae_bench.systems.gainrag.config import GainragOptions, selector_folder
from uae_bench.systems.gainrag.data import Candidates, learnable
from uae_bench.systems.gainrag.loss import selector_loss
from uae_bench.systems.gainrag.product import write_product
from uae_bench.systems.pairs import Groups, Pairs, PairTrainer, in_groups, pair_scores, tokenised_pairs
from uae_bench.systems.tensors import Features

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources


def train(data: TrainingSet, options: GainragOptions, seed: int, out: Path, resources: Resources) -> None:
    """Trains the selector and writes it, its report and its card to `out`.

    Raises:
        NotPossible: no train query, or no dev query, has two candidates with contrastive likelihoods.
        ModelUnavailable: what the selector starts from is not there, or is no encoder.
    """
    splits = {name: learnable(queries, data, options.candidates) for name, queries in asked(data).items()}
    for name, found in splits.items():
        if not found:
            raise NotPossible(
                f"none of the {len(asked(data)[name])} {name} queries has two candidates with gains",
                hint="gains need answers: train on a task that has them (--train-task) and a dev split",
            )
    with quiet(), deterministic(seed):
        selector = open_selector(options, resources.device)
        # The product reads what it learnt to read.
        selector.max_seq_length = min(options.max_length, selector.max_seq_length or options.max_length)
        pairs = tokenised_pairs(selector, _texts(data, [*splits["train"], *splits["dev"]]), options.max_length)
        measures = DevMeasures(pairs, splits["dev"], data)
        history = train_selector(selector, pairs, splits, measures, options, seed, resources.progress)
    report = {
        "trainer": "gainrag", "seed": seed, "threads": torch.get_num_threads(), "device": resources.device,
        "options": options.model_dump(), "queries": {name: len(found) for name, found in splits.items()},
        "teacher": teacher_summary(splits["train"]), "selector": asdict(history),
        "data": dict(data.provenance), "utility": data.definition,
    }  # fmt: skip
    write_product(selector, report, out)


def open_selector(options: GainragOptions, device: str) -> CrossEncoder:
    """The cross-encoder that training starts from, its own head kept if that gives one score, a fresh one else."""
    folder = selector_folder(options.selector)
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder), num_labels=1, device=device, local_files_only=True, trust_remote_code=False,
            activation_fn=nn.Identity(), model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        hint = "name a cross-encoder with one output, or an encoder of a class that transformers can give a head"
        raise ModelUnavailable(f"{options.selector} does not load as a selector: {error}", hint=hint) from error
    return model


class GainLoss(nn.Module):
    """`selector_loss` of a cross-encoder's scores, as its trainer calls it."""

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: list[Features], labels: Mapping[str, Tensor], **_: object) -> Tensor:
        """One flat batch of pairs, laid out in rows of one query each by `labels`."""
        scores = in_groups(self.model(features[0])["scores"], labels["members"])
        return selector_loss(scores, labels["values"], labels["members"])


class DevMeasures(SentenceEvaluator):
    """ExpUtil@1 on dev: the mean utility of the candidate that the selector puts first."""

    def __init__(self, pairs: Pairs, items: Sequence[Candidates], data: TrainingSet) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pairs = pairs
        self.items = items
        self.utilities = data.utilities
        self._looks = PairedLooks()

    def __call__(self, model: Any, output_path: Any = None, epoch: int = -1, steps: int = -1) -> dict[str, float]:
        training = model.training
        model.eval()
        wanted = [(item.query.id, passage) for item in self.items for passage in item.gains]
        scores = pair_scores(model, self.pairs, wanted, SILENT, "dev")
        model.train(training)
        first = {query: min(of, key=lambda passage: (-of[passage], passage)) for query, of in scores.items()}
        return self._looks.look(np.array([self.utilities[query][passage] for query, passage in first.items()]))


def train_selector(
    model: CrossEncoder, pairs: Pairs, splits: Mapping[str, Sequence[Candidates]], measures: DevMeasures,
    options: GainragOptions, seed: int, progress: Progress,
) -> History:  # fmt: skip
    """Fits the selector by `selector_loss`; the weights of highest dev ExpUtil@1 are kept, if they beat the start by
    `min_gain` standard errors of the paired difference; else the start is.
    """
    schedule = Schedule(
        batch=options.batch, epochs=options.epochs, evaluations=options.evaluations, warmup=options.warmup,
        weight_decay=options.weight_decay, learning_rate=options.learning_rate, precision=options.precision,
    )  # fmt: skip
    count = len(splits["train"])
    items = [(item.query.id, item.gains) for item in (*splits["train"], *splits["dev"])]
    keep = KeepBest("eval_ExpUtil@1", higher_is_better=True, patience=options.patience)
    history = fit(
        PairTrainer, CrossEncoderTrainingArguments, schedule, keep,
        model=model, rows=count, seed=seed, progress=progress, label="selector",
        train_dataset=Dataset.from_dict({"item": list(range(count))}),
        eval_dataset=Dataset.from_dict({"item": list(range(count, len(items)))}),
        loss=GainLoss(model), evaluator=measures,
        data_collator=Groups(pairs, items, count, options.group, np.random.default_rng(seed)),
    )  # fmt: skip
    settle(model, keep, options.min_gain)
    return history


def teacher_summary(items: Sequence[Candidates]) -> dict[str, float]:
    """Of the teacher over all candidates of a train query, the means of: its share on the best, its entropy over log of
    their number, and the best candidate's perplexity."""
    shares, entropies, perplexities = [], [], []
    for item in items:
        gains = np.array(list(item.gains.values()))
        log_teacher = gains - np.logaddexp.reduce(gains)
        teacher = np.exp(log_teacher)
        shares.append(teacher.max())
        entropies.append(-(teacher * log_teacher).sum() / np.log(len(gains)))
        perplexities.append(np.expm1(-gains.max()))
    means = [float(np.mean(values)) for values in (shares, entropies, perplexities)]
    return dict(zip(("share_of_best", "normalised_entropy", "perplexity_of_best"), means, strict=True))


def asked(data: TrainingSet) -> dict[str, Sequence[Query]]:
    """The queries by what they are for."""
    return {"train": data.train, "dev": data.dev}


def _texts(data: TrainingSet, items: Sequence[Candidates]) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (item.query.id, passage): (item.query.text, shown(data.passages[passage]))
        for item in items
        for passage in item.gains
    }
