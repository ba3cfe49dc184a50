"""From contexts to answers: what a generator writes for each query from the passages it is shown. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from uae_bench.lm.remembered import Calls, Remembered
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import GenerationRecord, Passage, Query
from uae_bench.stages import STAGES

if TYPE_CHECKING:
    from uae_bench.lm.base import FittedPrompt, Generator, Sampling


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
    asking = Remembered(model, calls, STAGES["generate"].version, progress, "generate")
    written = dict(zip(prompts, asking.generate(generator, prompts, sampling), strict=True))
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
