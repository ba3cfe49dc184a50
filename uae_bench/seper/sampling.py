"""From candidates to evidence: what a generator answers with each passage alone and with none, and what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uae_bench.lm.remembered import Calls, Remembered
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate, answer_of, continuation
from uae_bench.records import Answer, EntailmentRow, Likelihood, Passage, Query, SampleRow
from uae_bench.stages import STAGES

if TYPE_CHECKING:
    from uae_bench.lm.base import FittedPrompt, LanguageModel, Sampling
    from uae_bench.seper.entailment import Judge

SILENCE = Likelihood(0.0, 0)
"""Of a text that says nothing: no token, and so no mean."""
RETOKENISED = 3
"""A text read again may take more tokens than it was written with: a lone byte is decoded to a sign of three."""


@dataclass(frozen=True, slots=True)
class EvidenceCounts:
    """What the evidence took, the same whether computed or remembered.

    `calls` are texts written and likelihoods read, `prompt_tokens` what was read for both, `completion_tokens` what
    was written; `truncated_tokens` were cut from passages. `silent` samples, of `samples`, say nothing. `judged` are
    distinct claims of entailment, `judged_cut` their tokens beyond what the judge reads. `unanswerable` queries have
    no reference that answers, and so no evidence.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    truncated_tokens: int
    samples: int
    silent: int
    judged: int
    judged_cut: int
    unanswerable: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Sampled answers with their likelihoods, the entailment of each and each reference, and what they took."""

    samples: tuple[SampleRow, ...]
    entailments: tuple[EntailmentRow, ...]
    counts: EvidenceCounts


def gather(
    generator: LanguageModel,
    judge: Judge,
    candidates: Mapping[str, Sequence[str]],
    *,
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    answers: Mapping[str, Sequence[Answer]],
    template: PromptTemplate,
    sampling: Sampling,
    count: int,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Evidence:
    """`count` answers to each query with each of its candidates alone and with none, and what they mean.

    `answers` holds every query's references; only what answers counts, and a query without such has no evidence.
    `model` is the generator's identity; finished batches are found again in `calls` under it and the judge's.

    Raises:
        NotPossible: a question leaves no room for an answer in the generator's window.
    """
    asked = {query: row for query, row in candidates.items() if any(one.is_answer for one in answers[query])}
    prompts = _prompts(generator, asked, queries, passages, template, sampling)
    distinct = list(dict.fromkeys(made.prompt for made in prompts.values()))
    version = STAGES["seper"].version
    writing = Remembered(model, calls, version, progress, "sample answers")
    written = dict(zip(distinct, writing.sample(generator, distinct, sampling, count), strict=True))
    said = {prompt: Counter(answer_of(one.text) for one in texts) for prompt, texts in written.items()}
    pairs = [(prompt, continuation(text)) for prompt, texts in said.items() for text in sorted(texts.keys() - {""})]
    plan = generator.plan(pairs)
    weighing = Remembered(model, calls, version, progress, "weigh answers")
    likelihoods = dict(zip(pairs, weighing.score(generator, pairs, plan), strict=True))
    samples = [
        SampleRow(query, passage, text, times, likelihood.logprob, likelihood.tokens)
        for (query, passage), made in prompts.items()
        for text, times in sorted(said[made.prompt].items())
        for likelihood in (likelihoods.get((made.prompt, continuation(text)), SILENCE),)
    ]
    entailments, judged, cut = _judge(judge, samples, queries, answers, calls, progress)
    texts = [one for row in written.values() for one in row]
    return Evidence(
        tuple(samples),
        tuple(entailments),
        EvidenceCounts(
            calls=len(texts) + len(likelihoods),
            prompt_tokens=sum(one.prompt_tokens for one in texts) + plan.tokens,
            completion_tokens=sum(one.completion_tokens for one in texts),
            truncated_tokens=sum(one.cut_tokens for one in prompts.values()),
            samples=sum(row.times for row in samples),
            silent=sum(row.times for row in samples if not row.tokens),
            judged=judged,
            judged_cut=cut,
            unanswerable=len(candidates) - len(asked),
        ),
    )


def _prompts(
    generator: LanguageModel,
    asked: Mapping[str, Sequence[str]],
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    template: PromptTemplate,
    sampling: Sampling,
) -> dict[tuple[str, str | None], FittedPrompt]:
    """The prompt of each query with none of its passages and with each alone, cut where it would exceed the window."""
    from uae_bench.lm.base import fit_passages

    limit = generator.window - RETOKENISED * sampling.max_tokens

    def fitted(query: str, passage: str | None) -> FittedPrompt:
        shown = [] if passage is None else [passages[passage]]
        return fit_passages(template, queries[query].text, shown, "", limit, generator.tokenizer)

    return {(query, passage): fitted(query, passage) for query, row in asked.items() for passage in (None, *row)}


def _judge(
    judge: Judge,
    samples: Sequence[SampleRow],
    queries: Mapping[str, Query],
    answers: Mapping[str, Sequence[Answer]],
    calls: Calls,
    progress: Progress,
) -> tuple[list[EntailmentRow], int, int]:
    """Every distinct text of a query against each of its references, in both directions; how many distinct claims that
    was, and how many tokens of them the judge could not read."""
    rows = [
        (query, text, place, (queries[query].text, text, answer.text.strip()))
        for query, text in dict.fromkeys((row.query, row.text) for row in samples if row.tokens)
        for place, answer in enumerate(answers[query])
        if answer.is_answer
    ]
    forth = [claim for *_, claim in rows]
    back = [(question, reference, text) for question, text, reference in forth]
    claims = list(dict.fromkeys([*forth, *back]))
    plan = judge.plan(claims)
    asking = Remembered(judge.identity, calls, STAGES["seper"].version, progress, "judge answers")
    probable = dict(zip(claims, asking.judge(claims, plan, judge.judge_batch), strict=True))
    entailments = [
        EntailmentRow(query, text, place, entails=probable[claim], entailed=probable[reverse])
        for (query, text, place, claim), reverse in zip(rows, back, strict=True)
    ]
    return entailments, len(claims), plan.tokens - plan.computed
