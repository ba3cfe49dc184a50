"""The equations against numbers worked by hand, torch's own functions and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uae_bench.errors import NotPossible
from uae_bench.systems.uae.loss import (
    calibrated_lambda,
    normalised_entropy,
    pairwise_margin,
    student_log_distribution,
    teacher_distribution,
    uae_loss,
)

ALL = torch.ones(1, 3, dtype=torch.bool)
scores_of_three = st.lists(st.floats(-5, 5), min_size=3, max_size=3).map(lambda row: torch.tensor([row]).double())


def test_margin_is_the_mean_over_ordered_pairs() -> None:
    # U: a 1.0 > b 0.4 > c 0.0, so three ordered pairs; R: a 2.0, b 1.5, c 1.8; δ = 1
    # a,b: 1 − 0.5 = 0.5    a,c: 1 − 0.2 = 0.8    b,c: 1 − (−0.3) = 1.3    mean = 2.6 / 3
    loss = pairwise_margin(torch.tensor([[2.0, 1.5, 1.8]]), torch.tensor([[1.0, 0.4, 0.0]]), ALL, margin=1.0)
    assert loss.item() == pytest.approx(2.6 / 3)


def test_margin_skips_ties_padding_and_gaps_that_are_too_small() -> None:
    rewards, utilities = torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    members = torch.tensor([[True, True, False]])
    assert pairwise_margin(rewards, utilities, members, margin=1.0).item() == 0
    # with the third: two pairs, each 1 − (0 − 9) = 10; a gap of 1.0 is not above min_gap = 1.0
    assert pairwise_margin(rewards, utilities, ALL, margin=1.0).item() == pytest.approx(10)
    assert pairwise_margin(rewards, utilities, ALL, margin=1.0, min_gap=1.0).item() == 0


def test_margin_agrees_with_torch_on_the_same_pairs() -> None:
    rewards, utilities = torch.randn(4, 6, generator=seeded()), torch.randn(4, 6, generator=seeded(1))
    pairs = [(b, i, j) for b in range(4) for i in range(6) for j in range(6) if utilities[b, i] > utilities[b, j]]
    better = torch.stack([rewards[b, i] for b, i, _ in pairs])
    worse = torch.stack([rewards[b, j] for b, _, j in pairs])
    expected = torch.nn.functional.margin_ranking_loss(better, worse, torch.ones(len(pairs)), margin=0.7)
    members = torch.ones(4, 6, dtype=torch.bool)
    assert pairwise_margin(rewards, utilities, members, margin=0.7).item() == pytest.approx(expected.item(), rel=1e-5)


def test_teacher_is_softmax_of_lambda_times_reward() -> None:
    # λ = ln 2, R = 2, 1, 0: weights 4, 2, 1
    teacher = teacher_distribution(torch.tensor([[2.0, 1.0, 0.0]]), ALL, math.log(2))
    assert teacher[0].tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_teacher_gives_padding_nothing() -> None:
    teacher = teacher_distribution(torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[True, True, False]]), 1.0)
    assert teacher[0].tolist() == [0.5, 0.5, 0.0]


@given(scores_of_three)
def test_teacher_is_uniform_at_lambda_zero(scores: Tensor) -> None:
    assert teacher_distribution(scores, ALL, 0.0)[0].tolist() == pytest.approx([1 / 3] * 3)


def test_student_divides_similarities_by_tau() -> None:
    # ⟨f(q), f(d)⟩ = 0.6 and 0; τ = 0.5: logits 1.2 and 0
    query, candidates = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]])
    members = torch.tensor([[True, True, False]])
    log_student = student_log_distribution(query, candidates, members, tau=0.5)
    assert log_student[0, 0].item() == pytest.approx(1.2 - math.log(math.exp(1.2) + 1))
    assert log_student[0, :2].exp().sum().item() == pytest.approx(1)
    assert torch.isfinite(log_student).all()


def test_loss_is_the_forward_divergence() -> None:
    # π* = (1/2, 1/2), π_φ = (3/4, 1/4): ½ ln(2/3) + ½ ln 2 = ½ ln(4/3); the reverse one would be ¾ ln(3/2) + ¼ ln(1/2)
    teacher, student = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.75, 0.25]])
    assert uae_loss(teacher, student.log()).item() == pytest.approx(0.5 * math.log(4 / 3))


def test_loss_with_a_hard_teacher_is_infonce() -> None:
    student = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]).log()
    hard = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    expected = torch.nn.functional.cross_entropy(student, torch.tensor([0, 0]))
    assert uae_loss(hard, student).item() == pytest.approx(expected.item())


@given(scores_of_three, scores_of_three)
@settings(deadline=None)
def test_loss_is_torch_kl_div_zero_where_equal_and_grows_with_the_distance(first: Tensor, second: Tensor) -> None:
    teacher, student = first.softmax(1), second.log_softmax(1)
    loss = uae_loss(teacher, student)
    assert loss.item() == pytest.approx(
        torch.nn.functional.kl_div(student, teacher, reduction="batchmean").item(), abs=1e-9
    )
    distance = (teacher - student.exp()).abs().sum().item()
    assert loss.item() >= distance**2 / 2 - 1e-12  # Pinsker's inequality
    assert uae_loss(teacher, first.log_softmax(1)).item() == pytest.approx(0, abs=1e-12)


def test_gradients_agree_with_finite_differences() -> None:
    members = torch.tensor([[True, True, True, False], [True] * 4])
    utilities = torch.randn(2, 4, generator=seeded(2)).double()
    teacher = teacher_distribution(utilities, members, 1.5)

    def student_loss(queries: Tensor, candidates: Tensor) -> Tensor:
        return uae_loss(teacher, student_log_distribution(queries, candidates, members, tau=0.3))

    def reward_loss(rewards: Tensor) -> Tensor:
        return pairwise_margin(rewards, utilities, members, margin=0.8)

    queries = torch.randn(2, 3, generator=seeded()).double()
    candidates = torch.randn(2, 4, 3, generator=seeded()).double()
    assert torch.autograd.gradcheck(student_loss, (queries.requires_grad_(), candidates.requires_grad_()))
    assert torch.autograd.gradcheck(reward_loss, (torch.randn(2, 4, generator=seeded(3)).double().requires_grad_(),))


def test_gradient_of_the_student_is_its_distribution_minus_the_teachers() -> None:
    teacher = torch.tensor([[0.7, 0.2, 0.1]])
    logits = torch.tensor([[0.3, -0.1, 0.5]], requires_grad=True)
    uae_loss(teacher, logits.log_softmax(1)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.allclose(logits.grad, logits.softmax(1) - teacher, atol=1e-6)


def test_normalised_entropy_counts_members_only() -> None:
    members = torch.tensor([[True, True, False], [True, True, True]])
    distribution = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert normalised_entropy(distribution, members).tolist() == pytest.approx([1.0, 0.0])


@given(st.floats(0.05, 0.95), st.floats(-9, 9))
@settings(deadline=None, max_examples=20)
def test_calibrated_lambda_reaches_the_entropy_that_was_asked_for(target: float, exponent: float) -> None:
    """Whatever the unit of the scores: perplexities reach 1e9, utilities may differ by 1e-7."""
    scores = torch.tensor([[2.0, 1.0, 0.0], [3.0, 0.5, 0.0]]).double() * 10**exponent
    members = torch.tensor([[True, True, True], [True, True, False]])
    teacher = teacher_distribution(scores, members, calibrated_lambda(scores, members, target))
    assert normalised_entropy(teacher, members).mean().item() == pytest.approx(target, abs=1e-4)


def test_calibration_says_when_ties_put_the_entropy_out_of_reach() -> None:
    with pytest.raises(NotPossible, match=r"stays within 1\.000 and 1\.000"):
        calibrated_lambda(torch.zeros(1, 3), ALL, 0.5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
