"""The start of the lab's models: random weights in which a copying circuit has been planted.

Copying what followed the last occurrence of a token takes two layers (Olsson et al. 2022, arXiv 2209.11895): the first
notes at each position which tokens came before it, the second looks for positions whose predecessor is the present
token and repeats the token that stands there. Small models find this circuit late; a start that already holds it
("mimetic" initialisation, Trockman and Kolter 2023, arXiv 2305.09828) leaves the training to learn when to use it.

The residual stream is divided: the first `CONTENT` dimensions hold the token, then `CODE` dimensions a projection of
the token before it and `CODE` more one of the token before that.
"""

from __future__ import annotations

from typing import Any

import torch

from uae_bench.lab.families import HEAD_WIDTH, WIDTH, Family

CODE = 32
CONTENT = WIDTH - 2 * CODE
SPREAD = 0.1  # standard deviation of an embedding: logits of about 15 for a token copied with full weight
COPY = 4.0  # weight of a copied token against the present one
MATCH = 16.0  # attention score of a perfect match
_WRITERS = ("out_proj.weight", "o_proj.weight", "dense.weight", "w2.weight", "down_proj.weight", "dense_4h_to_h.weight")
STEP = 8.0  # amplitude of the positional biases: neighbours differ by about five nats


def plant(family: Family, model: Any, seed: int) -> None:
    """Writes the circuit into the first two layers of `model`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _hush(model)
        _embed(model, generator)
        code = _rows(CODE, generator)  # (CODE, CONTENT)
        halves = torch.split(_rows(CONTENT, generator), HEAD_WIDTH)  # two of (HEAD_WIDTH, CONTENT)
        if family.name == "lfm2":
            _remember_by_convolution(model.model.layers[0].conv, code)
        else:
            _remember_by_position(family, model, code)
        _match_and_copy(family, model, code, halves)


def _rows(count: int, generator: torch.Generator) -> torch.Tensor:
    """Orthonormal rows, (count, CONTENT)."""
    basis: torch.Tensor = torch.linalg.qr(torch.randn(CONTENT, CONTENT, generator=generator))[0]
    return basis[:count]


def _hush(model: Any) -> None:
    """Every layer starts by adding little to the residual stream, whose embeddings are small themselves."""
    for name, weight in model.named_parameters():
        if name.endswith(_WRITERS):
            weight *= 0.1


def _embed(model: Any, generator: torch.Generator) -> None:
    """Tokens live in the content dimensions; the last of those is the same for all and serves as a constant one."""
    weight = model.get_input_embeddings().weight
    weight.zero_()
    weight[:, : CONTENT - 1] = SPREAD * torch.randn(len(weight), CONTENT - 1, generator=generator)
    weight[:, CONTENT - 1] = SPREAD


def _remember_by_convolution(conv: Any, code: torch.Tensor) -> None:
    """Channels 0 to 2·CODE carry the codes of the two tokens before; the constant dimension holds their gates open."""
    open_gate, gated, values = conv.in_proj.weight.split(WIDTH)
    for gate in (open_gate, gated):
        gate[: 2 * CODE] = 0
        gate[: 2 * CODE, CONTENT - 1] = 1
    values[: 2 * CODE] = 0
    values[:CODE, :CONTENT] = code
    values[CODE : 2 * CODE, :CONTENT] = code
    kernel = conv.conv.weight  # (WIDTH, 1, 3), the present token last
    kernel[: 2 * CODE] = 0
    kernel[:CODE, 0, 1] = 1
    kernel[CODE : 2 * CODE, 0, 0] = 1
    conv.out_proj.weight[:, : 2 * CODE] = 0
    conv.out_proj.weight[CONTENT:, : 2 * CODE] = SPREAD * torch.eye(2 * CODE)


def _remember_by_position(family: Family, model: Any, code: torch.Tensor) -> None:
    """Heads 0 and 1 attend one and two places back, by biases that the rotary embedding turns into a peak."""
    for head, distance in ((0, 1), (1, 2)):
        query, key, value, out = _head(family, model, 0, head)
        bias_query, bias_key = _biases(family, model, 0, head)
        turning = HEAD_WIDTH if family.name == "llama" else HEAD_WIDTH // 4
        theta = 1e8 if family.name == "llama" else 1e4
        half = turning // 2
        angle = theta ** (-torch.arange(half) / half)
        bias_query[:half] = STEP
        bias_key[:half] = STEP * torch.cos(distance * angle)
        bias_key[half:turning] = STEP * torch.sin(distance * angle)
        bias_query[8:half] = 0  # the slow turns cannot tell neighbours apart
        query *= 0.1
        key *= 0.1
        value[:CODE] = 0
        value[:CODE, :CONTENT] = code
        out[:, :CODE] = 0
        out[CONTENT + head * CODE : CONTENT + (head + 1) * CODE, :CODE] = SPREAD * torch.eye(CODE)


def _match_and_copy(family: Family, model: Any, code: torch.Tensor, halves: tuple[torch.Tensor, ...]) -> None:
    """Layer 1: head 0 matches the present token, head 1 also the one before it; each copies half of the content."""
    still = _still_dimensions(family)
    own = torch.zeros(CODE, WIDTH)
    own[:, :CONTENT] = code
    noted = torch.eye(WIDTH)[CONTENT:]  # rows: the code of the token before, then of the one before that
    half = len(still) // 2
    wanted = (own, torch.cat([own[:half], noted[:half]]))
    found = (noted[:CODE], torch.cat([noted[:half], noted[CODE : CODE + half]]))
    for head in (0, 1):
        query, key, value, out = _head(family, model, 1, head)
        used = still[: len(wanted[head])]
        scale = _scale(family, model, len(used))
        query *= 0.05
        key *= 0.05
        query[used] = scale * wanted[head]
        key[used] = scale * found[head]
        value.zero_()
        value[:, :CONTENT] = halves[head]
        out.zero_()
        out[:CONTENT] = COPY * SPREAD * halves[head].T


def _scale(family: Family, model: Any, used: int) -> float:
    """Weight of each matched dimension on either side such that a perfect match scores about `MATCH`."""
    if family.name == "lfm2":  # normalises queries and keys itself
        attention = model.model.layers[1].self_attn
        for norm in (attention.q_layernorm, attention.k_layernorm):
            norm.weight.fill_((MATCH / HEAD_WIDTH**0.5) ** 0.5)
        return 1.0
    return float((MATCH * HEAD_WIDTH**0.5 / used) ** 0.5)


def _still_dimensions(family: Family) -> list[int]:
    """Dimensions of a head that the rotary embedding turns little or not at all within a prompt."""
    if family.name == "neox":
        return list(range(HEAD_WIDTH // 4, HEAD_WIDTH))
    half = HEAD_WIDTH // 2
    return [*range(12, half), *range(half + 12, HEAD_WIDTH)]


def _head(family: Family, model: Any, layer: int, head: int) -> tuple[torch.Tensor, ...]:
    """Views of one head's query, key, value (HEAD_WIDTH, WIDTH) and output (WIDTH, HEAD_WIDTH) weights."""
    rows = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
    if family.name == "neox":
        attention = model.gpt_neox.layers[layer].attention
        joint = attention.query_key_value.weight[head * 3 * HEAD_WIDTH : (head + 1) * 3 * HEAD_WIDTH]
        query, key, value = joint.split(HEAD_WIDTH)
        return query, key, value, attention.dense.weight[:, rows]
    attention = model.model.layers[layer].self_attn
    out = attention.out_proj if family.name == "lfm2" else attention.o_proj
    query, key, value = (each.weight[rows] for each in (attention.q_proj, attention.k_proj, attention.v_proj))
    return query, key, value, out.weight[:, rows]


def _biases(family: Family, model: Any, layer: int, head: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Views of one head's query and key biases, (HEAD_WIDTH,) each."""
    if family.name == "neox":
        bias = model.gpt_neox.layers[layer].attention.query_key_value.bias[head * 3 * HEAD_WIDTH :]
        return bias[:HEAD_WIDTH], bias[HEAD_WIDTH : 2 * HEAD_WIDTH]
    attention = model.model.layers[layer].self_attn
    rows = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
    return attention.q_proj.bias[rows], attention.k_proj.bias[rows]
