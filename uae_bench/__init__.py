"""uae-bench: does a retriever really help the language model that reads its passages?

    results = uae_bench.run(task="lab", retrievers=["bm25", "uae"])
    results.frame()      # one row per system, seed and measure
    results.records      # what the leaderboard is made of

The stages work one by one too: see `uae_bench.pipeline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uae_bench.experiment import Results
    from uae_bench.lm.resources import LmResources
    from uae_bench.progress import Progress

__version__ = "0.1.0"
__all__ = ["__version__", "run"]

LISTS = ("tasks", "retrievers", "held_out", "seeds", "measures")
"""The fields of an experiment that hold several values."""


def run(
    *,
    task: str | Sequence[str],
    retrievers: str | Sequence[str],
    data: Path | str | None = None,
    train_data: Path | str | None = None,
    out: Path | str = "runs",
    store: Path | str = ".uae-bench",
    device: str = "auto",
    lm_resources: LmResources | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Results:
    """What `uae-bench run` does: records, a pandas frame and the comparisons of each task.

    `data` and `train_data` are the files of the task and of `train_task`, where they lie elsewhere than the cards say.
    `lm_resources` tells how language models are run: requests at once, caps, parallel devices.
    `options` are the fields of an experiment (`uae_bench.experiment.Request`): split, baseline, train_task, encoder,
    scorer, generator, held_out, pool, depth, context_size, seeds, limit, measures, settings. One value may stand where
    several may.

    Raises:
        UaeBenchError: anything about the request, task, files or models that cannot be used.
    """
    from uae_bench.experiment import Experiment
    from uae_bench.lm.resources import USUAL
    from uae_bench.progress import SILENT

    fields = {"tasks": task, "retrievers": retrievers, **options}
    alone = {name: (fields[name],) for name in LISTS if isinstance(fields.get(name), str | int)}
    prepared = Experiment.prepare(
        {**fields, **alone},
        data=Path(data) if data is not None else None,
        train_data=Path(train_data) if train_data is not None else None,
        store=Path(store),
        device=device,
        lm_resources=lm_resources or USUAL,
        progress=progress or SILENT,
    )
    return prepared.run(Path(out))
