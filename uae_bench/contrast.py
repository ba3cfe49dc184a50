"""What a passage adds to an answer by contrastive decoding, for trainers that learn it (GainRAG, arXiv 2505.18710).

An answer's tokens are scored under softmax((1 + α) z(q, d) − α z(q)): the model's logits with the passage, pushed away
from those without any. What the model knows by itself counts less, and what only the passage tells counts more. Kept
is raw: the summed log-probability and token count of each (query, passage, reference answer) under one α. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uae_bench.lm.remembered import Calls, Remembered
from uae_bench.progress import SILENT, Progress
from uae_bench.prompts import PromptTemplate
from uae_bench.records import Answer, ContrastRow, Passage, Query
from uae_bench.stages import STAGES
from uae_bench.utility import ItemPrompts, LabelCounts, UtilityItem

if TYPE_CHECKING:
    from uae_bench.lm.base import ContrastiveScorer


@dataclass(frozen=True, slots=True)
class Contrasting:
    """Rows in the order of the items, and what they took."""

    rows: tuple[ContrastRow, ...]
    counts: LabelCounts


def contrast(
    scorer: ContrastiveScorer,
    items: Sequence[UtilityItem],
    alpha: float,
    *,
    queries: Mapping[str, Query],
    passages: Mapping[str, Passage],
    answers: Mapping[str, Sequence[Answer]],
    template: PromptTemplate,
    model: Mapping[str, str],
    calls: Calls,
    progress: Progress = SILENT,
) -> Contrasting:
    """Contrastive likelihood of every item. A passage that is too long for the window is cut, as in labelling.

    `model` is the scorer's identity; with α and the contrasts of a planned batch it is the batch's digest, under which
    `calls` keeps the likelihoods: a batch that it holds is not computed.

    Raises:
        NotPossible: a question with its answer exceeds the model's window even without a passage.
    """
    prompts = ItemPrompts(scorer, template, queries, passages, answers)
    asked = [(prompts.given(item), prompts.closed(item)) for item in items]
    contrasts = list(dict.fromkeys(asked))
    plan = scorer.plan_contrasts(contrasts)
    asking = Remembered(model, calls, STAGES["contrast"].version, progress, "contrast")
    found = dict(zip(contrasts, asking.contrast(scorer, contrasts, alpha, plan), strict=True))
    rows = tuple(
        ContrastRow(item.query, item.passage, item.answer, found[pair]) for item, pair in zip(items, asked, strict=True)
    )
    cut = prompts.cut
    read = len({pair for both in contrasts for pair in both})
    counts = LabelCounts(read, plan.tokens, plan.computed, sum(cut.values()), len(cut), plan.backed_up)
    return Contrasting(rows, counts)
