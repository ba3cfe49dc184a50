"""How UAE is trained, top to bottom: utilities, reward model, gated negatives, teacher, student, directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from uae_bench.encoder import BiEncoder
from uae_bench.encoder_source import encoder_identity
from uae_bench.errors import NotPossible
from uae_bench.prompts import shown
from uae_bench.records import TrainingSet
from uae_bench.store.digests import digest_of
from uae_bench.systems.fitting import History, deterministic, quiet
from uae_bench.systems.pairs import Pairs, pair_scores, tokenised_pairs
from uae_bench.systems.tensors import Inputs, token_inputs
from uae_bench.systems.uae import teacher
from uae_bench.systems.uae.config import DirectOptions, RewardOptions, StudentOptions, reward_folder
from uae_bench.systems.uae.data import CandidateSet, GateCounts, Labelled, Scores, gated, labelled, nearest
from uae_bench.systems.uae.head import StateRows, open_head
from uae_bench.systems.uae.lora import fold
from uae_bench.systems.uae.product import write_product
from uae_bench.systems.uae.reward import (
    margin_gain,
    ndcg_at_1,
    open_reward_model,
    pairwise_accuracy,
    train_reward_model,
)
from uae_bench.systems.uae.student import (
    DevMeasures,
    assembled,
    embedded,
    similarities,
    train_student,
    trainable,
)

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources


@dataclass(frozen=True, slots=True)
class Corpus:
    """The queries that can be learnt from, and every text that the training looks at, by id."""

    train: Sequence[Labelled]
    dev: Sequence[Labelled]
    queries: Mapping[str, str]
    passages: Mapping[str, str]

    @property
    def items(self) -> list[Labelled]:
        """All of them, train first."""
        return [*self.train, *self.dev]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many queries each split has by the rule that chose their d⁺."""
        return {
            split: {rule: sum(item.rule == rule for item in items) for rule in ("evidence", "best-utility")}
            for split, items in (("train", self.train), ("dev", self.dev))
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """What gate and teacher read: R, or U itself; the gate's δ in its units; and what there is to tell about it."""

    scores: Scores
    margin: float
    report: Mapping[str, Any]


def train(
    data: TrainingSet, options: StudentOptions, encoder_spec: str, seed: int, out: Path, resources: Resources,
    *, name: str,
) -> None:  # fmt: skip
    """Trains the student of the trainer `name` and writes it, its report and its card to `out`.

    Raises:
        NotPossible: no train query, or no dev query, has utilities; no λ gives the teacher the entropy asked for.
        ModelUnavailable: the encoder or the reward model's base is not there.
    """
    corpus = learnable(data, options)
    with quiet(), deterministic(seed):
        encoder = BiEncoder.load(encoder_spec, resources.device)
        embeddings = _starting_embeddings(encoder, encoder_spec, corpus, resources)
        similarity = similarities(embeddings, corpus.items)
        judgement = judge(data, corpus, similarity, options, seed, resources)
        train_sets, train_gate = _gated(corpus.train, similarity, judgement, options)
        dev_sets, dev_gate = _gated(corpus.dev, similarity, judgement, options)
        lesson = teacher.teach(train_sets, dev_sets, options)
        trained = trainable(encoder, options)
        history = learn(trained, encoder, lesson, corpus, embeddings, data.utilities, options, seed, resources)
        product = assembled(encoder, trained, options)
    report = {
        "trainer": name, "seed": seed, "threads": torch.get_num_threads(), "device": resources.device,
        "options": options.model_dump(), "queries": corpus.counts(), "reward_model": judgement.report,
        "gate": {"train": asdict(train_gate), "dev": asdict(dev_gate)},
        "teacher": teacher.summary(lesson, data.utilities),
        "student": asdict(history), "data": dict(data.provenance), "utility": data.definition,
    }  # fmt: skip
    write_product(product, report, encoder_spec, out)


def learnable(data: TrainingSet, options: StudentOptions) -> Corpus:
    """The queries that have utilities, with their texts and those of their candidates.

    Raises:
        NotPossible: no train query, or no dev query, has utilities.
    """
    splits = {}
    for split, queries in (("train", data.train), ("dev", data.dev)):
        splits[split] = labelled(queries, data, options.positive)
        if not splits[split]:
            raise NotPossible(
                f"none of the {len(queries)} {split} queries has a candidate with a utility",
                hint="utilities need answers: train on a task that has them (--train-task) and a dev split",
            )
    items = [*splits["train"], *splits["dev"]]
    candidates = sorted({passage for item in items for passage in item.candidates})
    return Corpus(
        splits["train"], splits["dev"], {item.query.id: item.query.text for item in items},
        {passage: shown(data.passages[passage]) for passage in candidates},
    )  # fmt: skip


def _starting_embeddings(encoder: BiEncoder, spec: str, corpus: Corpus, resources: Resources) -> Inputs:
    """Those of the last training of the run, where it started from the same encoder and texts."""
    key = digest_of([dict(encoder_identity(spec)), resources.device, dict(corpus.queries), dict(corpus.passages)])
    found: Inputs = resources.embeddings.get(
        key, lambda: embedded(encoder, corpus.queries, corpus.passages, resources.progress)
    )
    return found


def judge(
    data: TrainingSet, corpus: Corpus, similarity: Scores, options: StudentOptions, seed: int, resources: Resources
) -> Judgement:
    """What gate and teacher read: the utilities as they are, or a reward model that learns them here."""
    if isinstance(options, DirectOptions):
        return Judgement(data.utilities, options.gate_utility_margin, {})
    assert isinstance(options, RewardOptions)
    return _rewarded(data, corpus, similarity, options, seed, resources)


def _rewarded(
    data: TrainingSet, corpus: Corpus, similarity: Scores, options: RewardOptions, seed: int, resources: Resources
) -> Judgement:
    """Trains the reward model and scores what is looked at later: evidence and the nearest on train, all on dev."""
    keys = [(item.query.id, passage) for item in corpus.items for passage in item.candidates]
    if options.reward_reader:
        model, pairs, rate = _head_on_states(data, keys, options, resources.device)
    else:
        model, pairs, rate = _cross_encoder(corpus, keys, options, resources.device)
    history = train_reward_model(
        model, pairs, corpus.train, corpus.dev, data.utilities, options, rate, seed, resources.progress
    )
    if not options.reward_reader and options.reward_mode == "lora":
        fold(model.model)
    wanted = [(item.query.id, passage) for item in corpus.dev for passage in item.candidates]
    for item in corpus.train:
        near = nearest(item, similarity[item.query.id], options.negatives)
        wanted += [(item.query.id, passage) for passage in (item.positive, *item.further_evidence, *near)]
    scores = pair_scores(model, pairs, wanted, resources.progress, "reward scores")
    dev = {item.query.id: scores[item.query.id] for item in corpus.dev}
    gain, error = margin_gain(dev, data.utilities, options.reward_margin, options.reward_min_gap)
    believed = gain > options.min_gain * error
    if not believed:
        resources.progress.note("the reward model is no better on dev than one that is 0 everywhere: taken to be that")
        scores = {query: dict.fromkeys(of, 0.0) for query, of in scores.items()}
    report = {
        "believed": believed,
        "dev_gain": gain,
        "dev_gain_error": error,
        "dev_pairwise_accuracy": pairwise_accuracy(dev, data.utilities),
        "dev_ndcg@1": ndcg_at_1(dev, data.utilities),
        **asdict(history),
    }
    return Judgement(scores, options.gate_margin, report)


def _cross_encoder(
    corpus: Corpus, keys: Sequence[tuple[str, str]], options: RewardOptions, device: str
) -> tuple[CrossEncoder, Pairs, float]:
    """The paper's reward model: a pretrained transformer that reads query and passage as one text."""
    model = open_reward_model(reward_folder(options.reward_model), options, device)
    texts = {(query, passage): (corpus.queries[query], corpus.passages[passage]) for query, passage in keys}
    full = options.reward_mode == "full"
    rate = options.reward_full_learning_rate if full else options.reward_lora_learning_rate
    return model, tokenised_pairs(model, texts, options.reward_max_length), rate


def _head_on_states(
    data: TrainingSet, keys: Sequence[tuple[str, str]], options: RewardOptions, device: str
) -> tuple[CrossEncoder, Pairs, float]:
    """The small one: a head on the states of a language model that has read passage and query.

    Raises:
        NotPossible: the training set holds no states.
    """
    if data.states is None:
        raise NotPossible(
            f"the training set holds no states of {options.reward_model} for the reward model to read",
            hint="uae_bench.pipeline.read_states gives them",
        )
    place = {pair: row for row, pair in enumerate(data.states.pairs)}
    rows = StateRows(torch.from_numpy(data.states.values[[place[key] for key in keys]]))
    model = open_head(rows, options.reward_head_width, options.reward_head_dropout, device)
    return model, Pairs(rows, {key: number for number, key in enumerate(keys)}), options.reward_head_learning_rate


def learn(
    trained: SentenceTransformer, encoder: BiEncoder, lesson: teacher.Lesson, corpus: Corpus, embeddings: Inputs,
    utilities: Scores, options: StudentOptions, seed: int, resources: Resources,
) -> History:  # fmt: skip
    """Trains the student in place; where the gate left nothing to learn from, it stays as it was, and that is said."""
    if not lesson.train:
        resources.progress.note("the gate left no negative of any train query: the encoder stays as it was")
        return History()
    inputs = embeddings
    if options.mode != "adapter":
        # The product reads what it learnt to read.
        encoder.model.max_seq_length = min(options.max_length, encoder.max_length or options.max_length)
        inputs = token_inputs(encoder, corpus.queries, corpus.passages, options.max_length)
    return train_student(
        trained, inputs, lesson, DevMeasures(inputs, corpus.dev, utilities), options, seed, resources.progress
    )


def _gated(
    items: Sequence[Labelled], similarity: Scores, judgement: Judgement, options: StudentOptions
) -> tuple[list[CandidateSet], GateCounts]:
    return gated(
        items, similarity, judgement.scores, negatives=options.negatives, margin=judgement.margin,
        with_further_evidence=options.with_further_evidence,
    )  # fmt: skip
