"""Stages utility, states, contrast and train: what passages are worth to a language model, and what learns it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ConfigDict, Field

from uae_bench import pipeline, runs
from uae_bench.encoder_source import encoder_identity
from uae_bench.errors import NotPossible
from uae_bench.experiment.bench import CONTRASTS, COUNTS, RUN, STATES, UTILITIES, Bench
from uae_bench.experiment.retrieving import read_pools
from uae_bench.experiment.steps import BYTES_PER_TOKEN, Estimate, Step
from uae_bench.lm.spec import LmSpec
from uae_bench.records import ContrastRow, Likelihood, Query
from uae_bench.store import Artifact, Json, canonical_json, digest_of
from uae_bench.systems.trainer import Trainer
from uae_bench.utility import utilities

if TYPE_CHECKING:
    from uae_bench.lm.base import ContrastiveScorer, StateReader

LABELLED_DEPTH = 10
"""How much of a run is labelled where the pool is the whole corpus; no utility measure of a card looks further."""


class Training(BaseModel):
    """What `--set training.…` may set, of every trainer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    permute_utilities: bool = Field(default=False, description="the control: utilities dealt anew within each query")


def label_step(bench: Bench, spec: LmSpec, sources: Mapping[str, Step], without: Mapping[str, Step]) -> Step:
    """Stage utility: likelihoods of the answers with each passage of `sources` (pools or runs) and with none.

    Of a run the first `LABELLED_DEPTH` passages count, and the marked evidence is always labelled. What the labels
    in `without` hold already is left out.

    Raises:
        NotPossible: the model, a server's, tells no likelihoods.
    """
    if not spec.scores:
        raise NotPossible(
            f"{spec.text} returns no log-probabilities of a prompt's tokens, and utilities are made of them",
            hint="score with a model that does: hf:…, vllm:…, or a server of vLLM's (--scorer)",
        )
    facts = bench.asking(spec)

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        known = [row for role in without for row in runs.read_utilities(inputs[role].folder / UTILITIES)]
        candidates = _candidates(bench, [inputs[role] for role in sources], {(row.query, row.passage) for row in known})
        labelled = pipeline.label(
            bench.scorer(spec),
            bench.task,
            candidates,
            template=spec.prompt,
            model=bench.identity(spec),
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        runs.write_utilities(labelled.rows, folder / UTILITIES)
        (folder / COUNTS).write_text(canonical_json(asdict(labelled.counts)))
        return {"tokens": labelled.counts.tokens, "work": facts["lm"]}

    return Step(
        "utility",
        f"label {bench.label} with {spec.shown}",
        {"depth": LABELLED_DEPTH, **bench.scope},
        facts,
        produce,
        {**sources, **without},
        estimate=lambda: _labelling_cost(bench, sources),
        work=facts["lm"],
    )


def _candidates(
    bench: Bench, sources: Sequence[Artifact], known: Container[tuple[str, str]] = ()
) -> dict[str, list[str]]:
    """The passages of each query in scope that pools or runs hold, and its evidence, but for the `known` pairs."""
    found = {query.id: dict.fromkeys(sorted(bench.task.evidence(query.id))) for query in bench.queries}
    for source in sources:
        for query, passages in _passages_of(source).items():
            found[query].update(dict.fromkeys(passages))
    return {query: [p for p in sorted(row) if (query, p) not in known] for query, row in found.items()}


def _labelling_cost(bench: Bench, sources: Mapping[str, Step]) -> Estimate:
    """Every candidate of every query with every answer, shared prefixes not yet taken off."""
    calls, tokens = 0, 0.0
    for query, count in _candidate_counts(bench, sources):
        answers = bench.task.answerable(query.id)
        calls += (count + 1) * len(answers)
        tokens += sum(count * (bench.passage_length + len(query.text) + len(answer.text)) for answer in answers)
    return Estimate(calls, round(tokens / BYTES_PER_TOKEN))


def _contrasting_cost(bench: Bench, sources: Mapping[str, Step]) -> Estimate:
    """As labelling, and for every answer to a candidate once more its query and answer alone."""
    cost, again = _labelling_cost(bench, sources), 0.0
    for query, count in _candidate_counts(bench, sources):
        again += count * sum(len(query.text) + len(answer.text) for answer in bench.task.answerable(query.id))
    return Estimate(cost.calls, cost.tokens + round(again / BYTES_PER_TOKEN))


def _reading_cost(bench: Bench, sources: Mapping[str, Step]) -> Estimate:
    """Every candidate of every query that has an answer, once."""
    asked = [(query, count) for query, count in _candidate_counts(bench, sources) if bench.task.answerable(query.id)]
    tokens = sum(count * (bench.passage_length + len(query.text)) for query, count in asked)
    return Estimate(sum(count for _, count in asked), round(tokens / BYTES_PER_TOKEN))


def _candidate_counts(bench: Bench, sources: Mapping[str, Step]) -> Iterator[tuple[Query, int]]:
    """About how many candidates each query will have, known before pools and runs are made."""
    whole = any(step.stage == "pool" for step in sources.values())
    for query in bench.queries:
        document = bench.task.documents.get(query.document_id or "", ())
        yield query, len(document) if whole and document else LABELLED_DEPTH


def _passages_of(artifact: Artifact) -> Mapping[str, Sequence[str]]:
    """The passages per query of a pool, or the first of a run."""
    if artifact.key.stage == "pool":
        return read_pools(artifact) or {}
    run = runs.read_run(artifact.folder / RUN)
    return {query: ranking.passages[:LABELLED_DEPTH] for query, ranking in run.rankings.items()}


def states_step(bench: Bench, spec: LmSpec, sources: Mapping[str, Step]) -> Step:
    """Stage states: what a model has in mind after each candidate of a query that has an answer, once for all trainers
    and seeds, whoever labels.

    Raises:
        NotPossible: the model's states cannot be seen.
    """
    if not spec.shows_states:
        raise NotPossible(
            f"{spec.text} shows no states for a reward model to read", hint="take one whose weights are here: hf:…"
        )
    facts = bench.asking(spec)

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        found = _candidates(bench, [inputs[role] for role in sources])
        pairs = [(query, passage) for query in found if bench.task.answerable(query) for passage in found[query]]
        states = pipeline.read_states(
            cast("StateReader", bench.models.get(spec)),
            bench.task,
            pairs,
            template=spec.prompt,
            progress=bench.resources.progress,
        )
        runs.write_states(states, folder / STATES)
        return {"tokens": states.tokens, "work": facts["lm"]}

    return Step(
        "states",
        f"read {bench.label} with {spec.text}",
        {"depth": LABELLED_DEPTH, **bench.scope},
        facts,
        produce,
        sources,
        estimate=lambda: _reading_cost(bench, sources),
        work=facts["lm"],
    )


def contrast_step(bench: Bench, spec: LmSpec, alpha: float, sources: Mapping[str, Step]) -> Step:
    """Stage contrast: the answers to each query under contrastive decoding with each candidate (`uae_bench.contrast`).

    Raises:
        NotPossible: the model's next-token distributions cannot be seen whole.
    """
    if not spec.shows_states:
        raise NotPossible(
            f"{spec.text} shows no whole next-token distributions, and contrastive decoding is made of them",
            hint="score with a model whose weights are here: --scorer hf:…",
        )
    facts = bench.asking(spec)

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        made = pipeline.contrast(
            cast("ContrastiveScorer", bench.scorer(spec)),
            bench.task,
            _candidates(bench, [inputs[role] for role in sources]),
            alpha,
            template=spec.prompt,
            model=bench.identity(spec),
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        runs.write_contrasts(made.rows, folder / CONTRASTS)
        (folder / COUNTS).write_text(canonical_json(asdict(made.counts)))
        return {"tokens": made.counts.tokens, "work": facts["lm"]}

    return Step(
        "contrast",
        f"contrast {bench.label} with {spec.text}",
        {"depth": LABELLED_DEPTH, "alpha": alpha, **bench.scope},
        facts,
        produce,
        sources,
        estimate=lambda: _contrasting_cost(bench, sources),
        work=facts["lm"],
    )


def train_step(
    bench: Bench,
    trainer: Trainer,
    options: BaseModel,
    encoder: str,
    seed: int,
    definition: str,
    candidates: Step,
    labels: Step | None,
    states: Step | None,
    contrasts: Step | None,
    training: Training,
    scorer: str,
) -> Step:
    """Stage train: a model directory from the training splits' candidates and utilities; dev chooses the checkpoint.

    Task, licence and `scorer` stand in the model's card.

    Raises:
        NotPossible: the trainer learns from utilities, and no query for training, or none for choosing, has an answer.
    """
    splits = bench.task.splits
    provenance = {"task": bench.task.name, "license": bench.task.card.license, "scorer": scorer}
    train = [query.id for split in bench.splits if splits[split].use == "train" for query in bench.of(split)]
    dev = [query.id for split in bench.splits if splits[split].use == "dev" for query in bench.of(split)]
    for use, queries in (("train", train), ("dev", dev)):
        if trainer.needs == "utilities" and not any(map(bench.task.answerable, queries)):
            whole = [query for split in bench.splits if splits[split].use == use for query in splits[split].queries]
            enough = any(map(bench.task.answerable, whole))
            raise NotPossible(
                f"{trainer.name} learns from utilities, and none of the {len(queries)} {use} queries of "
                f"{bench.task.name} has an answer to make them from",
                hint=f"raise --limit {bench.limit}: others have answers"
                if enough
                else "train on a task that has answers in splits for train and dev: --train-task qasper",
            )

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        gains = utilities(runs.read_utilities(inputs["labels"].folder / UTILITIES), definition) if labels else {}
        contrasted = _by_passage(runs.read_contrasts(inputs["contrasts"].folder / CONTRASTS)) if contrasts else None
        if training.permute_utilities:
            gains = pipeline.permuted(gains, seed)
            contrasted = None if contrasted is None else pipeline.permuted(contrasted, seed)
        run = runs.read_run(inputs["candidates"].folder / RUN)
        data = pipeline.training_set(
            bench.task,
            train,
            dev,
            run,
            gains,
            states=runs.read_states(inputs["states"].folder / STATES) if states else None,
            contrasts=contrasted,
            definition=definition,
            provenance=provenance,
        )
        bench.models.close()  # its memory is the trainer's now
        pipeline.train(trainer, data, options, encoder, seed, folder, bench.running())
        return {}

    return Step(
        "train",
        f"train {trainer.name} (seed {seed}) on {bench.label}",
        {
            "trainer": trainer.name,
            "version": trainer.version,
            "options": options.model_dump(mode="json"),
            "seed": seed,
            "definition": definition,
            "training": training.model_dump(),
            "provenance": provenance,
            **bench.scope,
        },
        {**bench.facts, "encoder": digest_of(dict(encoder_identity(encoder))), **trainer.identity(options)},
        produce,
        {"candidates": candidates}
        | {
            role: step
            for role, step in (("labels", labels), ("states", states), ("contrasts", contrasts))
            if step is not None
        },
    )


def _by_passage(rows: Iterable[ContrastRow]) -> dict[str, dict[str, tuple[Likelihood, ...]]]:
    """Likelihoods by query and passage, in the order of the rows."""
    found: dict[str, dict[str, tuple[Likelihood, ...]]] = {}
    for row in rows:
        of = found.setdefault(row.query, {})
        of[row.passage] = (*of.get(row.passage, ()), row.likelihood)
    return found
