"""The equations of GainRAG on tensors (arXiv 2505.18710). Numbers are those of the room's README.

B queries, K candidates of each (rows are padded; `members` (B, K) is False at padding).
"""

from __future__ import annotations

import torch
from torch import Tensor


def selector_loss(scores: Tensor, gains: Tensor, members: Tensor) -> Tensor:
    """(4) L = E_q KL( softmax_i(g_i) ‖ softmax_i(s_i) ) over the members of each group.

    Args:
        scores: what the selector gives, s (B, K). gains: g = −log(PPL + 1), (B, K). members: (B, K), bool.

    Returns:
        Scalar, nats.
    """
    teacher = _masked(gains, members).softmax(dim=1) * members
    student = _masked(scores, members).log_softmax(dim=1)
    return (torch.xlogy(teacher, teacher) - teacher * student).sum(dim=1).mean()


def _masked(logits: Tensor, members: Tensor) -> Tensor:
    return logits.masked_fill(~members, torch.finfo(logits.dtype).min)
