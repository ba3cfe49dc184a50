"""What is remembered: likelihoods that can be, and every batch that was paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lm.serving import NAME, serving
from tests.retrieval.scripted import Scripted
from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.lm.base import Generated, Pair, Sampling
from uae_bench.lm.hf import HfModel
from uae_bench.lm.remembered import Remembered, sound
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import parse_lm
from uae_bench.records import Likelihood
from uae_bench.store import CallCache

PAIRS = [(f"question {place}", " an answer") for place in range(6)]
SAMPLING = Sampling(10)


class Paid(Scripted):
    """Takes 100 tokens a request: 80 read and 20 written; notes what it was asked."""

    def __init__(self, purse: LmResources, logprob: float = -1.0) -> None:
        super().__init__(lambda prompt: f"of {prompt}")
        self.spec, self.purse, self.logprob = "openai:m@http://localhost:1/v1", purse, logprob
        self.asked: list[str] = []

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        self._take([prompt for prompt, _ in pairs])
        return [Likelihood(self.logprob, 2) for _ in pairs]

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        self._take(prompts)
        return super().generate_batch(prompts, sampling)

    def _take(self, prompts: Sequence[str]) -> None:
        self.asked += prompts
        for _ in prompts:
            self.purse.spend(80, 20)


@pytest.fixture(autouse=True)
def _two_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 50)
    monkeypatch.setattr("uae_bench.lm.planned.WRITING_CELLS", 50)


def remembered(place: Path) -> Remembered:
    return Remembered({"weights": "w"}, CallCache(place / "calls.sqlite"), 1)


@pytest.mark.parametrize("logprob", [3.0, 0.001, math.nan, -math.inf, math.inf])
def test_a_likelihood_that_cannot_be_names_the_model_and_is_not_kept(logprob: float, tmp_path: Path) -> None:
    model = Paid(LmResources(), logprob)
    with pytest.raises(ModelUnavailable, match=rf"^openai:m@http://localhost:1/v1 returned {logprob:g} ") as caught:
        remembered(tmp_path).score(model, PAIRS)
    assert caught.value.hint.startswith("uae-bench doctor --lm openai:m@http://localhost:1/v1 ")
    assert CallCache(tmp_path / "calls.sqlite").count() == 0


def test_what_rounding_does_is_let_through_as_it_is() -> None:
    # two tokens: 0.0002 above 0 at most
    kept = [Likelihood(0.0, 2), Likelihood(0.00019, 2), Likelihood(-1e9, 2)]
    assert sound(list(kept), "m") == kept
    with pytest.raises(ModelUnavailable):
        sound([Likelihood(0.00021, 2)], "m")


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"max_tokens_total": 150}, "taken 200 tokens, 50 more than --max-tokens-total allows"),
        # 2 * (80 * 1 + 20 * 5) / 1e6
        (
            {"max_cost": 0.0003, "prompt_price": 1.0, "completion_price": 5.0},
            "cost 0.00036, 6e-05 more than --max-cost",
        ),
    ],
)
@pytest.mark.parametrize("writes", [False, True])
def test_with_a_cap_below_a_batch_each_run_goes_on_by_one_and_nothing_is_paid_twice(
    allowed: dict[str, Any], said: str, writes: bool, tmp_path: Path
) -> None:
    """Six requests in batches of two: three runs, of which the first two stop."""

    def ask(model: Paid) -> Any:
        asking = remembered(tmp_path)
        prompts = [prompt for prompt, _ in PAIRS]
        return asking.generate(model, prompts, SAMPLING) if writes else asking.score(model, PAIRS)

    asked: list[str] = []
    for run in (1, 2, 3):
        model = Paid(LmResources(**allowed))
        if run < 3:
            with pytest.raises(NotPossible, match=said) as caught:
                ask(model)
            assert "the batch under way was finished and kept, no other was begun" in str(caught.value)
            assert "run the same command again" in caught.value.hint
        else:
            assert len(ask(model)) == 6
        assert len(model.asked) == 2
        asked += model.asked
    assert sorted(asked) == sorted(prompt for prompt, _ in PAIRS)


def test_models_of_a_run_share_a_purse_and_what_is_remembered_costs_nothing(tmp_path: Path) -> None:
    resources = LmResources(max_tokens_total=599)
    scores = remembered(tmp_path).score(Paid(resources), PAIRS)  # 600 tokens: the last batch passes the cap
    assert remembered(tmp_path).score(Paid(resources), PAIRS) == scores
    with pytest.raises(NotPossible, match="taken 600 tokens, 1 more than"):
        remembered(tmp_path).generate(Paid(replace(resources, device="cuda")), ["another"], SAMPLING)


def test_only_a_model_that_is_paid_for_is_capped(llama: HfModel) -> None:
    resources = LmResources(max_tokens_total=10)
    resources.spend(10, 10)
    with serving(llama) as server, parse_lm(f"openai:{NAME}@{server.url}").open(resources) as paid:
        assert paid.spec == f"openai:{NAME}@{server.url}"
        with pytest.raises(NotPossible, match="10 more than --max-tokens-total"):
            paid.purse.check_cap()
    with parse_lm("lab:llama").open(resources) as own:
        assert own.spec == "lab:llama"
        own.purse.check_cap()
