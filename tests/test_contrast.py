"""Labels by contrastive decoding: an independent computation, cuts, kept batches, and a run from label to row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from tests.experiment import parts
from uae_bench import runs
from uae_bench.contrast import Contrasting, contrast
from uae_bench.errors import NotPossible, UsageError
from uae_bench.experiment.steps import Step
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Answer, ContrastRow, Likelihood, Passage, Query
from uae_bench.store import CallCache
from uae_bench.utility import UtilityItem, label_items

if TYPE_CHECKING:
    from uae_bench.lm.base import Contrast, ContrastiveScorer
    from uae_bench.lm.hf import HfModel

QUERIES = {"q1": Query("q1", "Who dug the harbour?", "d"), "q2": Query("q2", "What feeds the engine?", "d")}
PASSAGES = {
    "told": Passage("told", "Ana Torv dug the harbour of Vell.", "Vell", "d"),
    "other": Passage("other", "The engine of Vell is fed with soft water.", "", "d"),
    "long": Passage("long", "The engine of Vell is fed with soft water. " * 200, "", "d"),
}
ANSWERS = {
    "q1": (Answer("Ana Torv", "extractive"), Answer("Unanswerable", "unanswerable"), Answer("Torv", "free-form")),
    "q2": (Answer("soft water", "extractive"),),
}
ITEMS = label_items({"q1": ["told", "other"], "q2": ["told", "other"]}, ANSWERS)
QUICK = {
    "gainrag.selector": str(parts.encoder()), "gainrag.epochs": 1, "gainrag.batch": 4, "gainrag.group": 3,
    "gainrag.evaluations": 1, "gainrag.max_length": 24,
}  # fmt: skip


def contrasted(model: Any, calls: CallCache, items: Sequence[UtilityItem] = ITEMS, alpha: float = 0.5) -> Contrasting:
    return contrast(
        cast("ContrastiveScorer", model),
        items,
        alpha,
        queries=QUERIES,
        passages=PASSAGES,
        answers=ANSWERS,
        template=PLAIN,
        model={"weights": "of the test"},
        calls=calls,
    )


@torch.inference_mode()
def by_transformers(model: HfModel, prompts: Sequence[str], answer: str, alpha: float) -> float:
    """Log-probability of an answer token by token, each from two forward passes over all that stands before it."""
    total = 0.0
    contexts = [model.tokenizer.encode([prompt])[0] for prompt in prompts]
    whole = model.tokenizer.encode([prompts[0] + answer])[0]
    for token in whole[len(contexts[0]) :]:
        given, closed = (model.network(torch.tensor([ids])).logits[0, -1].double() for ids in contexts)
        total += float(((1 + alpha) * given - alpha * closed).log_softmax(dim=-1)[token])
        contexts = [[*ids, token] for ids in contexts]
    return total


def test_labels_are_those_of_a_loop_over_tokens(tmp_path: Path) -> None:
    with parse_lm("lab:llama").open() as model:
        made = contrasted(model, CallCache(tmp_path / "calls.sqlite"))
        assert [(row.query, row.passage, row.answer) for row in made.rows] == [
            (item.query, item.passage, item.answer) for item in ITEMS
        ]
        for row in made.rows:
            query = QUERIES[row.query].text
            prompts = [PLAIN.answering(query, passages) for passages in ([PASSAGES[row.passage]], [])]
            expected = by_transformers(cast("HfModel", model), prompts, _answer(row), 0.5)
            assert row.likelihood.logprob == pytest.approx(expected, abs=1e-3)
    # q1 has two references that answer, q2 one: three questions alone, six with a passage
    assert made.counts.calls == 3 + 6
    assert made.counts.truncated_tokens == made.counts.backed_up_tokens == 0


def _answer(row: ContrastRow) -> str:
    return continuation(ANSWERS[row.query][row.answer].text)


def test_a_long_passage_is_cut_and_counted(tmp_path: Path) -> None:
    with parse_lm("lab:llama").open() as model:
        made = contrasted(model, CallCache(tmp_path / "calls.sqlite"), [UtilityItem("q2", "long", 0)])
    assert (made.counts.truncated_prompts, made.counts.truncated_tokens > 0) == (1, True)


def test_after_a_kill_only_what_was_not_finished_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 60)
    calls = CallCache(tmp_path / "calls.sqlite")
    asked: list[int] = []

    def counted(model: Any, killed_at: int) -> Any:
        batch = model.contrast_batch

        def ask(contrasts: Sequence[Contrast], alpha: float) -> list[Likelihood]:
            if len(asked) == killed_at:
                raise KeyboardInterrupt
            asked.append(len(contrasts))
            return cast("list[Likelihood]", batch(contrasts, alpha))

        model.contrast_batch = ask
        return model

    with parse_lm("lab:llama").open() as model, pytest.raises(KeyboardInterrupt):
        contrasted(counted(model, killed_at=2), calls)
    with parse_lm("lab:llama").open() as model:
        again = contrasted(counted(model, killed_at=-1), calls)
    assert len(asked) > 3 and sum(asked) == len(ITEMS)
    with parse_lm("lab:llama").open() as model:
        assert contrasted(model, CallCache(tmp_path / "other.sqlite")).rows == again.rows
        assert contrasted(model, calls, alpha=1.0).rows != again.rows


def test_rows_are_kept_whole(tmp_path: Path) -> None:
    rows = [ContrastRow("q2", "p/ü", 0, Likelihood(-1 / 3, 2)), ContrastRow("q1", "p", 1, Likelihood(-7.25, 9))]
    runs.write_contrasts(rows, tmp_path / "contrasts.parquet")
    assert runs.read_contrasts(tmp_path / "contrasts.parquet") == rows[::-1]


def test_a_row_is_trained_on_them_and_costs_are_told(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, models=True)
    fields: dict[str, Any] = {"measures": ("Success@1", "ExpUtil@1"), "settings": QUICK, "held_out": ()}
    results = parts.run(card, tmp_path, ("bm25>gainrag",), **fields)
    record, folder = next(
        (one, place)
        for one, place in zip(results.records, results.folders, strict=True)
        if one.system == "bm25>gainrag"
    )
    assert record.settings["gainrag"]["alpha"] == 0.5
    assert record.artifacts["contrasts for gainrag"].stage == "contrast"
    # 14 questions of train and dev, with each of six passages and with none
    assert record.costs["contrasts for gainrag"].calls == 14 * (6 + 1)
    told = json.loads((folder / "model" / "gainrag" / "training.json").read_text())
    assert told["queries"] == {"train": 10, "dev": 4}
    planned = parts.prepare(card, tmp_path / "store", ("bm25>gainrag",), **fields).preview()
    assert {step.status for step in planned} == {"hit"}


def test_alpha_is_part_of_the_labels_key_and_the_selector_is_not(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, models=True)

    def labels(**changes: object) -> Step:
        settings = {**QUICK, **{f"gainrag.{option}": value for option, value in changes.items()}}
        fields: dict[str, Any] = {"settings": settings, "held_out": ()}
        plan = parts.prepare(card, tmp_path / "store", ("bm25>gainrag",), **fields).plans[0]
        return next(row.train["gainrag"].needs["contrasts"] for row in plan.rows if row.train)

    assert labels().config == labels(epochs=2, selector="lab:encoder").config
    assert labels().config != labels(alpha=0.4).config


def test_a_model_that_shows_no_distributions_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LmSpec, "shows_states", False)
    card = parts.write_task(tmp_path, models=True)
    with pytest.raises(NotPossible, match="shows no whole next-token distributions") as caught:
        parts.prepare(card, tmp_path / "store", ("bm25>gainrag",), settings=QUICK, held_out=()).preview()
    assert "hf:" in caught.value.hint


def test_a_selector_alone_finds_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gainrag cannot come first") as caught:
        parts.prepare(parts.write_task(tmp_path, models=True), tmp_path / "store", ("gainrag",))
    assert "bm25>gainrag" in caught.value.hint
