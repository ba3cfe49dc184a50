"""GainRAG's equations by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.records import Likelihood
from uae_bench.systems.gainrag.data import gain
from uae_bench.systems.gainrag.loss import selector_loss

EVERY = torch.ones(1, 2, dtype=torch.bool)


def test_a_gain_is_minus_the_log_of_the_perplexity_and_one() -> None:
    # log p = −2 over 2 tokens: PPL = e; certain: PPL = 1
    assert gain([Likelihood(-2.0, 2)]) == pytest.approx(-math.log(math.e + 1))
    assert gain([Likelihood(0.0, 3)]) == pytest.approx(-math.log(2))


def test_of_several_references_the_likeliest_counts() -> None:
    assert gain([Likelihood(-8.0, 2), Likelihood(-3.0, 3)]) == gain([Likelihood(-1.0, 1)])


@given(st.floats(0, 1e6), st.integers(1, 50))
def test_a_gain_is_finite_however_unlikely_the_answer(nats: float, tokens: int) -> None:
    assert -nats - 1 <= gain([Likelihood(-nats * tokens, tokens)]) <= -math.log(2)


def test_the_loss_is_the_divergence_of_the_selector_from_the_teacher() -> None:
    # perplexities 1 and 3: shares 1/2 : 1/4, so 2/3 and 1/3; a selector that knows nothing: 1/2 and 1/2
    gains = torch.tensor([[-math.log(2), -math.log(4)]])
    loss = selector_loss(torch.zeros(1, 2), gains, EVERY)
    assert loss.item() == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3))


def test_it_is_zero_where_scores_are_gains_but_for_a_constant() -> None:
    gains = torch.tensor([[-1.0, -2.5]])
    assert selector_loss(gains + 7, gains, EVERY).item() == pytest.approx(0, abs=1e-6)


def test_padding_neither_counts_nor_learns() -> None:
    scores = torch.tensor([[0.3, -0.2, 5.0]], requires_grad=True)
    members = torch.tensor([[True, True, False]])
    loss = selector_loss(scores, torch.tensor([[-1.0, -2.0, 0.0]]), members)
    alone = selector_loss(scores[:, :2], torch.tensor([[-1.0, -2.0]]), EVERY)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(alone.item())
    assert scores.grad is not None and scores.grad[0, 2] == 0


def test_the_mean_is_over_queries() -> None:
    scores, gains = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[-1.0, -2.0], [-3.0, -1.0]])
    rows = [selector_loss(scores[[row]], gains[[row]], EVERY).item() for row in (0, 1)]
    both = selector_loss(scores, gains, torch.ones(2, 2, dtype=torch.bool))
    assert both.item() == pytest.approx(sum(rows) / 2)
