"""The stages in order, one function each: nouns in, nouns out.

    read -> pool -> retrieve -> label -> train -> retrieve -> generate -> evaluate -> compare

Nothing here knows of files, keys or arguments: `experiment` wraps each stage in a key and keeps what it made.
Every function works alone in a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uae_bench.errors import NotPossible
from uae_bench.prompts import PromptTemplate
from uae_bench.records import (
    GenerationRecord,
    Passage,
    Query,
    RetrievalView,
    Run,
    TrainingSet,
    UtilityRow,
    Value,
)
from uae_bench.task.pool import document_pools, hard_pools
from uae_bench.task.task import Task, load_task

if TYPE_CHECKING:
    from uae_bench.lm.base import Generator, Sampling, Scorer
    from uae_bench.metrics.measure import Judged, Measure
    from uae_bench.progress import Progress
    from uae_bench.retrieval.component import Reranker, Resources, Retriever
    from uae_bench.systems.trainer import Trainer
    from uae_bench.utility import Calls

Pools = Mapping[str, tuple[str, ...]] | None
