"""Which token sequences begin alike, so that the model reads each shared beginning once. Plain Python, no tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]

WORTH_SHARING = 16
"""Tokens that a shared prefix must save; below, a second pass over the model costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences (by index) that share their first `length` tokens; a group without a shared prefix has one member."""

    length: int
    members: tuple[int, ...]


@dataclass(slots=True)
class _Interval:
    """Sorted sequences from `start` on that share `depth` tokens; `saved` by the best `groups` found below."""

    depth: int
    start: int
    saved: int = 0
    groups: list[tuple[int, int, int]] = field(default_factory=list)  # start, end, shared length


def share_prefixes(sequences: Sequence[Tokens]) -> list[Group]:
    """The split into groups, each with one shared prefix, that saves most tokens: sum of (members - 1) * length.

    Sorted, sequences that begin alike stand together; the intervals of sequences with a common prefix form a tree,
    and at each of its nodes the node's own prefix is worth more than the best of its children or it is not. Groups
    and members come in lexicographic order of their tokens, whatever the order given.
    """
    if not sequences:
        return []
    encoded = [sort_key(sequence) for sequence in sequences]
    order = sorted(range(len(encoded)), key=encoded.__getitem__)
    ranked = [encoded[index] for index in order]
    common = [_common(left, right) for left, right in pairwise(ranked)]
    root = _best_groups(len(order), common)
    groups = []
    for start, end, length in root.groups:
        if (end - start - 1) * length >= WORTH_SHARING:
            groups.append(Group(length, tuple(order[start:end])))
        else:
            groups.extend(Group(0, (index,)) for index in order[start:end])
    return groups


def sort_key(tokens: Tokens) -> bytes:
    """Four bytes per token, most significant first: ordered as the tokens are."""
    return tokens.astype(">u4").tobytes()


def _common(left: bytes, right: bytes) -> int:
    """Number of tokens (four bytes each) that two sequences share at their beginning."""
    shortest = min(len(left), len(right))
    differ = np.frombuffer(left[:shortest], dtype=">u4") != np.frombuffer(right[:shortest], dtype=">u4")
    return int(differ.argmax()) if differ.any() else shortest // 4


def _best_groups(count: int, common: Sequence[int]) -> _Interval:
    """The root of the tree; a node is closed, and its choice made, when the next sequence shares less than it does."""
    stack: list[_Interval] = [_Interval(depth=0, start=0)]
    for index in range(count):
        node = _Interval(depth=0, start=index, groups=[(index, index + 1, 0)])
        shared = common[index] if index + 1 < count else 0
        while stack and stack[-1].depth > shared:
            node = _close(_adopt(stack.pop(), node), index + 1)
        if shared and (not stack or stack[-1].depth < shared):
            stack.append(_Interval(depth=shared, start=node.start))
        stack[-1] = _adopt(stack[-1], node)
    return stack[0]


def _adopt(parent: _Interval, child: _Interval) -> _Interval:
    parent.saved += child.saved
    parent.groups.extend(child.groups)
    return parent


def _close(node: _Interval, end: int) -> _Interval:
    together = (end - node.start - 1) * node.depth
    if together >= node.saved:
        node.saved, node.groups = together, [(node.start, end, node.depth)]
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
