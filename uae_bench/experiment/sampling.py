"""Stage seper: what a generator's sampled answers mean with each candidate alone, beside the reference answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from uae_bench import pipeline, runs
from uae_bench.errors import NotPossible
from uae_bench.experiment.bench import COUNTS, ENTAILMENTS, FACTS, RUN, SAMPLES, Bench
from uae_bench.experiment.models import usable_device
from uae_bench.experiment.retrieving import read_pools
from uae_bench.experiment.steps import BYTES_PER_TOKEN, Estimate, Step
from uae_bench.lm.base import Sampling
from uae_bench.lm.spec import LmSpec
from uae_bench.seper import SeperOptions, delta_seper, judge_of
from uae_bench.store import Artifact, Json, canonical_json, digest_of


def seper_step(bench: Bench, spec: LmSpec, options: SeperOptions, source: Step, depth: int, max_tokens: int) -> Step:
    """Stage seper: answers sampled with each passage of `source` (pools, or a run's first `depth`) and with none.

    Raises:
        NotPossible: the model, a server's, tells no likelihoods.
        ModelUnavailable, BadInput: the judge of entailment is not here, or cannot be used.
    """
    if not spec.scores:
        raise NotPossible(
            f"{spec.text} returns no log-probabilities of a prompt's tokens, and seper weighs its answers by them",
            hint="generate with a model that does: hf:…, vllm:…, or a server of vLLM's (--generator)",
        )
    facts = {**bench.asking(spec), "judge": digest_of(dict(judge_of(options.entailment).identity))}
    sampling = Sampling(max_tokens, options.temperature, options.seed)

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        artifact = inputs["candidates"]
        if artifact.key.stage == "pool":
            pools = read_pools(artifact) or {}
            candidates = {query.id: sorted(pools[query.id]) for query in bench.queries}
        else:
            rankings = runs.read_run(artifact.folder / RUN).rankings
            candidates = {query.id: sorted(rankings[query.id].passages[:depth]) for query in bench.queries}
        judge = judge_of(options.entailment, usable_device(bench.resources.device), bench.models.close)
        evidence = pipeline.sample(
            bench.scorer(spec),
            judge,
            bench.task,
            candidates,
            template=spec.prompt,
            sampling=sampling,
            count=options.samples,
            model=bench.identity(spec),
            calls=bench.calls,
            progress=bench.resources.progress,
        )
        judge.close()
        runs.write_samples(evidence.samples, folder / SAMPLES)
        runs.write_entailments(evidence.entailments, folder / ENTAILMENTS)
        counts = asdict(evidence.counts)
        (folder / COUNTS).write_text(canonical_json(counts))
        told = {name: counts[name] for name in TOLD if counts[name]}
        (folder / FACTS).write_text(canonical_json({TOLD[name]: value for name, value in told.items()}))
        return {"tokens": evidence.counts.prompt_tokens + evidence.counts.completion_tokens, "work": facts["lm"]}

    config: dict[str, Json] = {
        "options": options.model_dump(exclude={"agreement"}),
        "depth": None if source.stage == "pool" else depth,
        "sampling": {**asdict(sampling), "stop": list(sampling.stop)},
        **bench.scope,
    }
    return Step(
        "seper",
        f"sample answers on {bench.label} with {spec.text} ({source.label})",
        config,
        facts,
        produce,
        {"candidates": source},
        estimate=lambda: _sampling_cost(bench, source, options.samples, depth, max_tokens),
        work=facts["lm"],
    )


TOLD = {
    "judged": "claims_of_entailment_judged",
    "judged_cut": "tokens_of_claims_beyond_what_the_judge_reads",
    "samples": "answers_sampled",
    "silent": "sampled_answers_that_say_nothing",
    "unanswerable": "queries_without_an_answer,_left_in_their_order",
}
"""Counts that a record tells, and in which words."""


def read_gains(artifact: Artifact, options: SeperOptions) -> dict[str, dict[str, float]]:
    """ΔSePer per query and passage, from what `seper_step` wrote."""
    samples = runs.read_samples(artifact.folder / SAMPLES)
    return delta_seper(samples, runs.read_entailments(artifact.folder / ENTAILMENTS), options.agreement)


def _sampling_cost(bench: Bench, source: Step, count: int, depth: int, max_tokens: int) -> Estimate:
    """Each context of each query that has an answer: `count` texts as long as they may grow, written and read again."""
    calls, tokens = 0, 0.0
    for query in bench.queries:
        if bench.task.answerable(query.id):
            document = bench.task.documents.get(query.document_id or "", ())
            passages = len(document) if source.stage == "pool" and document else min(depth, len(document) or depth)
            texts = 2 * count * (passages + 1)
            calls += texts
            tokens += texts * (len(query.text) + bench.passage_length * passages / (passages + 1)) / BYTES_PER_TOKEN
    return Estimate(calls, round(tokens) + calls * max_tokens)
