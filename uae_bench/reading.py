"""What a language model has in mind once it has read a passage and a question, for trainers that learn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from uae_bench.errors import NotPossible
from uae_bench.lm.base import StateReader, fit_passages
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import Passage, Query, States


def read_states(
    reader: StateReader,
    pairs: Sequence[tuple[str, str]],
    *,
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    template: PromptTemplate,
    progress: Progress = SILENT,
) -> States:
    """The reader's state after each (query id, passage id), at the place where the answer would begin.

    A passage that is too long for its window is cut, as in labelling. No answer is shown.

    Raises:
        NotPossible: a question exceeds the window even without a passage, or a state float16.
    """
    prompts = [
        fit_passages(template, queries[query].text, [passages[passage]], "", reader.window, reader.tokenizer).prompt
        for query, passage in pairs
    ]
    plan = reader.plan_reading(prompts)
    values = np.empty((0, 0), dtype=np.float16)
    for batch in progress.track(plan.batches, total=len(plan.batches), label="states"):
        found = reader.read_batch([prompts[index] for index in batch])
        if not values.size:
            values = np.empty((len(pairs), found.shape[1]), dtype=np.float16)
        if not np.abs(found).max() <= np.finfo(np.float16).max:
            raise NotPossible(
                f"states of this model reach {np.abs(found).max():g}, beyond what 16 bits hold",
                hint="take another model to read with",
            )
        values[list(batch)] = found
    return States(tuple(pairs), values, plan.tokens)
