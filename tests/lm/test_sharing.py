"""The best split into groups with one shared prefix each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.lm.base import Tokens
from uae_bench.lm.sharing import WORTH_SHARING, Group, pack, share_prefixes, sort_key


def tokens(*parts: tuple[int, int]) -> Tokens:
    """`tokens((7, 20), (1, 2))` is twenty sevens and two ones."""
    return np.array([token for token, times in parts for _ in range(times)], dtype=np.int32)


def test_a_passage_serves_the_queries_below_it() -> None:
    first, second = (5, 30), (6, 40)
    sequences = [tokens(first, (query, 3)) for query in (1, 2, 3)] + [tokens(second, (query, 3)) for query in (1, 2)]
    assert share_prefixes(sequences) == [Group(30, (0, 1, 2)), Group(40, (3, 4))]


def test_sharing_an_instruction_of_all_gives_way_to_sharing_each_passage() -> None:
    # instruction of 10: all together saves (4 - 1) * 10 = 30; two passages of 20 after it save 2 * (2 - 1) * 30 = 60
    sequences = [tokens((9, 10), (passage, 20), (query, 2)) for passage in (5, 6) for query in (1, 2)]
    assert [group.length for group in share_prefixes(sequences)] == [30, 30]
    # passages of 1: two groups save 2 * 11 = 22, less than 30
    short = [tokens((9, 10), (passage, 1), (query, 2)) for passage in (5, 6) for query in (1, 2)]
    assert share_prefixes(short) == [Group(10, (0, 1, 2, 3))]


def test_what_saves_too_little_is_read_whole() -> None:
    assert WORTH_SHARING == 16
    assert share_prefixes([tokens((9, 15), (1, 1)), tokens((9, 15), (2, 1))]) == [Group(0, (0,)), Group(0, (1,))]
    assert share_prefixes([tokens((9, 16), (1, 1)), tokens((9, 16), (2, 1))]) == [Group(16, (0, 1))]


def test_nothing_to_share_in_nothing() -> None:
    assert share_prefixes([]) == []
    assert share_prefixes([tokens()]) == [Group(0, (0,))]


def test_prompts_without_a_passage_share_the_instruction_that_passages_left_behind() -> None:
    # two passages of 30 after an instruction of 20 save 2 * 50, the closed-book queries 2 * 20; all in one 6 * 20
    given_passage = [tokens((9, 20), (passage, 30), (query, 2)) for passage in (5, 6) for query in (1, 2)]
    closed_book = [tokens((9, 20), (query, 2)) for query in (1, 2, 3)]
    groups = share_prefixes(given_passage + closed_book)
    assert sorted(groups, key=lambda group: group.members) == [
        Group(50, (0, 1)),
        Group(50, (2, 3)),
        Group(20, (4, 5, 6)),
    ]


def saved(groups: Sequence[Group]) -> int:
    return sum((len(group.members) - 1) * group.length for group in groups)


def saved_by_length(sequences: Sequence[Tokens], length: int) -> int:
    """What grouping by the first `length` tokens saves, where a group is worth it."""
    sizes = Counter(sort_key(sequence[:length]) for sequence in sequences if len(sequence) >= length)
    each = [(size - 1) * length for size in sizes.values()]
    return sum(one for one in each if one >= WORTH_SHARING)


sequence = st.lists(st.integers(0, 2), min_size=1, max_size=4).map(lambda parts: tokens(*((part, 9) for part in parts)))


@given(st.lists(sequence, min_size=1, max_size=9))
def test_no_fixed_length_saves_more_and_every_member_shares_its_groups_prefix(sequences: list[Tokens]) -> None:
    groups = share_prefixes(sequences)
    assert saved(groups) >= max(saved_by_length(sequences, length) for length in range(1, 37))
    assert sorted(index for group in groups for index in group.members) == list(range(len(sequences)))
    for group in groups:
        assert len({sort_key(sequences[index][: group.length]) for index in group.members}) == 1


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120), st.booleans())
def test_packs_cover_all_in_order_within_the_limit(sizes: list[int], limit: int, padded: bool) -> None:
    spans = list(pack(sizes, limit, padded=padded))
    assert [index for span in spans for index in span] == list(range(len(sizes)))
    for span in spans:
        part = sizes[span.start : span.stop]
        assert len(part) == 1 or (len(part) * max(part) if padded else sum(part)) <= limit


def test_tokens_sort_as_numbers() -> None:
    assert sorted([tokens((256, 1)), tokens((2, 1)), tokens((2, 2))], key=sort_key)[0].tolist() == [2]
    assert sort_key(tokens((70_000, 1))) > sort_key(tokens((300, 9)))


def test_packing_nothing_gives_nothing() -> None:
    assert list(pack([], 10, padded=True)) == []
    assert list(pack([99], 10, padded=True)) == [range(0, 1)]


@pytest.mark.parametrize("padded", [True, False])
def test_padded_cells_count_the_largest_for_all(padded: bool) -> None:
    # 2 + 2 + 6 = 10 cells as they are, 3 * 6 = 18 when padded
    assert list(pack([2, 2, 6], 10, padded=padded)) == ([range(0, 2), range(2, 3)] if padded else [range(0, 3)])
