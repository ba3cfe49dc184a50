"""Which token sequences begin alike, so that the model reads each shared beginning once. Plain Python, no tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from uae_bench.lm.base import Tokens

WORTH_SHARING = 16
"""Tokens that a shared prefix must save; below, a second pass over the model costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences (by index) that share their first `length` tokens; a group without a shared prefix has one member."""

    length: int
    members: tuple[int, ...]


@dataclass(slots=True)
class _Node:
    """Sorted sequences from `start` on that share `depth` tokens: groups chosen below, what they save, and the rest."""

    depth: int
    start: int
    saved: int = 0
    groups: list[Group] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)


def share_prefixes(sequences: Sequence[Tokens]) -> list[Group]:
    """Groups with one shared prefix each, chosen to save many tokens: sum of (members - 1) * length.

    Sorted, sequences that begin alike stand together, and what they share makes a tree. At each node, from the
    longest prefixes up, either all sequences below share the node's prefix, or the groups found below stay and what
    they left alone shares it, whichever saves more. No grouping by one fixed length saves more than the result.
    Groups and members come in lexicographic order of their tokens, whatever the order given.
    """
    if not sequences:
        return []
    encoded = [sort_key(sequence) for sequence in sequences]
    order = sorted(range(len(encoded)), key=encoded.__getitem__)
    root = _choose([_common(encoded[left], encoded[right]) for left, right in pairwise(order)])
    chosen = [*root.groups, *(Group(0, (position,)) for position in root.alone)]
    chosen.sort(key=lambda group: group.members)
    return [Group(group.length, tuple(order[position] for position in group.members)) for group in chosen]


def sort_key(tokens: Tokens) -> bytes:
    """Four bytes per token, most significant first: ordered as the tokens are."""
    return tokens.astype(">u4").tobytes()


def _common(left: bytes, right: bytes) -> int:
    """Number of tokens (four bytes each) that two sequences share at their beginning."""
    shortest = min(len(left), len(right))
    differ = np.frombuffer(left[:shortest], dtype=">u4") != np.frombuffer(right[:shortest], dtype=">u4")
    return int(differ.argmax()) if differ.any() else shortest // 4


def _choose(common: Sequence[int]) -> _Node:
    """The root of the tree over positions 0 to len(common); `common` is what neighbours share.

    A node is closed, and its choice made, when the next sequence shares less than its depth.
    """
    stack = [_Node(depth=0, start=0)]
    for position in range(len(common) + 1):
        node = _Node(depth=0, start=position, alone=[position])
        shared = common[position] if position < len(common) else 0
        while stack[-1].depth > shared:
            node = _close(_adopt(stack.pop(), node), position + 1)
        if stack[-1].depth < shared:
            stack.append(_Node(depth=shared, start=node.start))
        _adopt(stack[-1], node)
    return stack[0]


def _adopt(parent: _Node, child: _Node) -> _Node:
    parent.saved += child.saved
    parent.groups += child.groups
    parent.alone += child.alone
    return parent


def _close(node: _Node, end: int) -> _Node:
    together = (end - node.start - 1) * node.depth
    among_alone = (len(node.alone) - 1) * node.depth
    if together >= max(node.saved + max(among_alone, 0), WORTH_SHARING):
        node.saved, node.alone = together, []
        node.groups = [Group(node.depth, tuple(range(node.start, end)))]
    elif among_alone >= WORTH_SHARING:
        node.groups.append(Group(node.depth, tuple(node.alone)))
        node.saved, node.alone = node.saved + among_alone, []
    return node


def pack(sizes: Sequence[int], limit: int, *, padded: bool) -> Iterator[range]:
    """Consecutive index ranges of at least one item whose sizes sum to at most `limit`; padded ones to the largest."""
    start, largest, total = 0, 0, 0
    for index, size in enumerate(sizes):
        largest, total = max(largest, size), total + size
        if index > start and (largest * (index - start + 1) if padded else total) > limit:
            yield range(start, index)
            start, largest, total = index, size, size
    if start < len(sizes):
        yield range(start, len(sizes))
