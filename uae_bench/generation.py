"""From contexts to answers: what a generator writes for each query from the passages it is shown. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import GenerationRecord, Passage, Query
from uae_bench.stages import STAGES
from uae_bench.store.digests import Json, digest_of

if TYPE_CHECKING:
    from uae_bench.lm.base import FittedPrompt, Generated, Generator, Sampling
    from uae_bench.utility import Calls


def generate_answers(
    generator: Generator,
    contexts: Mapping[str, Sequence[str]],
    *,
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    template: PromptTemplate,
    sampling: Sampling,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> list[GenerationRecord]:
    """One answer per query of `contexts`, from its passages (ids, best first); no passages means closed book.

    Passages that would exceed the window are cut, the lowest ranked first, and what was cut is counted. `model` is
    the generator's identity; with a planned batch and the sampling it is the digest under which `calls` keeps it.

    Raises:
        NotPossible: a question leaves no room for an answer in the generator's window.
    """
    fitted = {
        query: _fitted(generator, template, queries[query], [passages[passage] for passage in context], sampling)
        for query, context in contexts.items()
    }
    prompts = list(dict.fromkeys(made.prompt for made in fitted.values()))
    plan = generator.plan_generation(prompts, sampling)
    written: dict[str, Generated] = {}
    for batch in progress.track(plan.batches, total=len(plan.batches), label="generate"):
        part = [prompts[index] for index in batch]
        written.update(zip(part, _remembered(generator, part, sampling, model, calls), strict=True))
    return [
        GenerationRecord(
            query=query,
            text=written[made.prompt].text,
            context=tuple(contexts[query]),
            prompt_tokens=written[made.prompt].prompt_tokens,
            completion_tokens=written[made.prompt].completion_tokens,
            truncated_tokens=made.cut_tokens,
            finish=written[made.prompt].finish,
        )
        for query, made in fitted.items()
    ]


def _fitted(
    generator: Generator, template: PromptTemplate, query: Query, context: Sequence[Passage], sampling: Sampling
) -> FittedPrompt:
    from uae_bench.lm.base import fit_passages

    limit = generator.window - sampling.max_tokens
    return fit_passages(template, query.text, context, "", limit, generator.tokenizer)


def _remembered(
    generator: Generator, prompts: Sequence[str], sampling: Sampling, model: Mapping[str, str], calls: Calls
) -> list[Generated]:
    """One planned batch, from the call cache or else from the generator and then into the cache."""
    from uae_bench.lm.base import Generated

    asked: Json = {
        "ask": "generation",
        "version": STAGES["generate"].version,
        "model": model,
        "sampling": _plain(sampling),
        "prompts": list(prompts),
    }
    digest = digest_of(asked)
    found = calls.get(digest)
    if found is None:
        written = generator.generate_batch(prompts, sampling)
        calls.put(digest, digest_of(model), [asdict(one) for one in written])
        return written
    return [Generated(**cast("dict[str, Any]", row)) for row in found]


def _plain(sampling: Sampling) -> dict[str, Json]:
    return {**asdict(sampling), "stop": list(sampling.stop)}
