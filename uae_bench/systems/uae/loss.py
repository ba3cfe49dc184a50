"""The equations of UAE on tensors (arXiv 2604.22722). Numbers are those of the room's README.

B queries, K candidates of each (rows are padded; `members` (B, K) is False at padding), D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uae_bench.errors import NotPossible


def pairwise_margin(rewards: Tensor, utilities: Tensor, members: Tensor, margin: float, min_gap: float = 0.0) -> Tensor:
    """(2) L = mean of max(0, δ − (R(q,d_i) − R(q,d_j))) over all pairs of one query with U(q,d_i) − U(q,d_j) > min_gap.

    Args:
        rewards: R (B, K). utilities: U (B, K). members: (B, K), bool.
        margin: δ, in units of R. min_gap: in units of U; 0 takes every pair, as the paper does.

    Returns:
        Scalar; 0 where no pair is ordered.
    """
    gaps = rewards.unsqueeze(2) - rewards.unsqueeze(1)  # (B, K, K): R_i − R_j
    ordered = (utilities.unsqueeze(2) - utilities.unsqueeze(1) > min_gap) & members.unsqueeze(2) & members.unsqueeze(1)
    losses = (margin - gaps).clamp(min=0) * ordered
    return losses.sum() / ordered.sum().clamp(min=1)


def teacher_distribution(scores: Tensor, members: Tensor, inverse_temperature: float) -> Tensor:
    """(4) π*(d_i|q) = softmax_i(λ · R(q,d_i)) over the members of B; 0 elsewhere. (B, K) -> (B, K)."""
    return _masked(inverse_temperature * scores, members).softmax(dim=1) * members


def student_log_distribution(queries: Tensor, candidates: Tensor, members: Tensor, tau: float) -> Tensor:
    """(5) log π_φ(d_i|q) = log softmax_i(⟨f(q), f(d_i)⟩ / τ) over the members of B.

    Args:
        queries: f(q), unit rows (B, D). candidates: f(d), unit rows (B, K, D). members: (B, K), bool.

    Returns:
        (B, K); very negative, but finite, outside B.
    """
    similarities = torch.einsum("bd,bkd->bk", queries, candidates)
    return _masked(similarities / tau, members).log_softmax(dim=1)


def uae_loss(teacher: Tensor, student_log: Tensor) -> Tensor:
    """(6) L_UAE = E_q KL(π* ‖ π_φ) = E_q Σ_i π*_i (log π*_i − log π_φ,i): forward KL, teacher first.

    With all of π* on d⁺ this is InfoNCE over B: −log π_φ(d⁺|q). Both arguments (B, K); returns a scalar in nats.
    """
    return (torch.xlogy(teacher, teacher) - teacher * student_log).sum(dim=1).mean()


def normalised_entropy(distribution: Tensor, members: Tensor) -> Tensor:
    """H(π) / log |B| of each row, in [0, 1]: (B, K), (B, K) -> (B,). Rows need at least two members."""
    return -torch.xlogy(distribution, distribution).sum(dim=1) / members.sum(dim=1).log()


def calibrated_lambda(scores: Tensor, members: Tensor, target: float) -> float:
    """The λ at which the teacher's mean normalised entropy is `target`, by bisection: entropy falls as λ grows.

    λ is sought over twelve powers of ten around the reciprocal of the scores' mean range within a set, whatever their
    unit.

    Raises:
        NotPossible: no λ reaches the target (scores that tie at the top keep the entropy above it).
    """
    ranges = scores.masked_fill(~members, -torch.inf).amax(1) - scores.masked_fill(~members, torch.inf).amin(1)
    unit = float(ranges.mean()) or 1.0

    def entropy(exponent: float) -> float:
        return float(normalised_entropy(teacher_distribution(scores / unit, members, 10.0**exponent), members).mean())

    low, high = -6.0, 6.0
    if not entropy(low) > target > entropy(high):
        raise NotPossible(
            f"no λ gives the teacher a mean normalised entropy of {target}: it stays within {entropy(high):.3f} and "
            f"{entropy(low):.3f}",
            hint="ask for one between them (teacher_entropy), or name λ yourself (teacher_lambda)",
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(middle) > target else (low, middle)
    return float(10.0 ** ((low + high) / 2)) / unit


def _masked(logits: Tensor, members: Tensor) -> Tensor:
    return logits.masked_fill(~members, torch.finfo(logits.dtype).min)
