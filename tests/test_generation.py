"""From contexts to answers: what the generator is shown, what it wrote, and that it is asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.experiment.parts import language_model
from tests.lm.conftest import PASSAGES
from uae_bench.errors import NotPossible
from uae_bench.generation import generate_answers
from uae_bench.lm.base import Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.prompts import PLAIN
from uae_bench.records import GenerationRecord, Passage, Query
from uae_bench.store import CallCache

QUERIES = {name: Query(name, text, "d") for name, text in (("q", "Who built it?"), ("r", "Is it old?"))}
TABLE = {passage.id: passage for passage in PASSAGES}
CONTEXTS = {"q": ("p1", "p0"), "r": ()}
SAMPLING = Sampling(8)


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(language_model(), "cpu", "float32")


def written(
    model: HfModel,
    calls: CallCache,
    contexts: Mapping[str, Sequence[str]] = CONTEXTS,
    *,
    queries: Mapping[str, Query] = QUERIES,
    passages: Mapping[str, Passage] = TABLE,
    sampling: Sampling = SAMPLING,
    weights: str = "w",
) -> list[GenerationRecord]:
    return generate_answers(
        model, contexts, queries=queries, passages=passages, template=PLAIN, sampling=sampling,
        model={"weights": weights}, calls=calls,
    )  # fmt: skip


def test_the_answer_is_what_the_model_writes_after_the_prompt(model: HfModel, tmp_path: Path) -> None:
    records = written(model, CallCache(tmp_path / "calls.sqlite"))
    prompts = [PLAIN.answering("Who built it?", [TABLE["p1"], TABLE["p0"]]), PLAIN.answering("Is it old?", [])]
    alone = [model.generate([prompt], SAMPLING)[0] for prompt in prompts]
    assert [record.text for record in records] == [one.text for one in alone]
    assert [record.context for record in records] == [("p1", "p0"), ()]
    assert [record.prompt_tokens for record in records] == [one.prompt_tokens for one in alone]
    assert all(record.truncated_tokens == 0 for record in records)


def test_a_finished_batch_is_never_asked_again(model: HfModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = CallCache(tmp_path / "calls.sqlite")
    first = written(model, calls)
    with monkeypatch.context() as patched:
        patched.setattr(model, "generate_batch", None)
        assert written(model, calls) == first
    before = calls.count()
    written(model, calls, weights="others")
    written(model, calls, sampling=Sampling(4))
    assert calls.count() > before + 1


def test_queries_that_ask_the_same_of_the_same_are_asked_once(model: HfModel, tmp_path: Path) -> None:
    calls = CallCache(tmp_path / "calls.sqlite")
    queries = {**QUERIES, "again": Query("again", "Who built it?", "d")}
    records = written(model, calls, {"q": ("p1",), "again": ("p1",)}, queries=queries)
    assert [record.query for record in records] == ["q", "again"]
    assert records[0].text == records[1].text
    assert len(model.plan_generation([PLAIN.answering("Who built it?", [TABLE["p1"]])], SAMPLING).batches) == 1
    assert calls.count() == 1


def test_what_does_not_fit_the_window_is_cut_from_the_lowest_ranked_and_counted(model: HfModel, tmp_path: Path) -> None:
    long = Passage("long", "a very old harbour " * 60, "", "d")
    (record,) = written(
        model, CallCache(tmp_path / "calls.sqlite"), {"q": ("p1", "long")}, passages={**TABLE, "long": long}
    )
    whole = len(model.tokenizer.encode([PLAIN.answering("Who built it?", [TABLE["p1"], long])])[0])
    assert whole > model.window
    assert record.truncated_tokens > 0
    assert record.prompt_tokens <= model.window - SAMPLING.max_tokens
    assert record.context == ("p1", "long")


def test_a_question_that_leaves_no_room_for_an_answer_is_refused(model: HfModel, tmp_path: Path) -> None:
    queries = {"q": Query("q", "who " * 300, "d")}
    with pytest.raises(NotPossible, match="fit the model"):
        written(model, CallCache(tmp_path / "calls.sqlite"), {"q": ()}, queries=queries)
