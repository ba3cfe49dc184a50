"""Fusion of systems: values by hand, and what must hold of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.parts import QUESTIONS, TEXTS, tiny_encoder, view
from uae_bench.errors import BadInput, UsageError
from uae_bench.pipeline import index, retrieve, time_queries
from uae_bench.records import Ranking, Run
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import build_chain, parse_system
from uae_bench.retrieval.component import Resources


def rule(name: str, **settings: Any) -> Any:
    component = RETRIEVERS[name]
    return component.build("", component.config(**settings), Resources())


def ranking(**scores: float) -> Ranking:
    return Ranking.from_scores(scores, 99)


def fused(name: str, *rankings: Ranking, depth: int = 99, **settings: Any) -> Ranking:
    runs = [Run(f"m{place}", 99, {"q": each}) for place, each in enumerate(rankings)]
    result: Ranking = rule(name, **settings).fuse("fused", runs, depth).rankings["q"]
    return result


A, B = ranking(x=9, y=5, z=1), ranking(y=0.9, w=0.4, x=0.1)


def test_reciprocal_ranks_by_hand() -> None:
    # ranks of x: 1 and 3, of y: 2 and 1, of z: 3 and none, of w: none and 2
    found = fused("rrf", A, B)
    assert dict(zip(found.passages, found.scores, strict=True)) == pytest.approx(
        {"y": 1 / 62 + 1 / 61, "x": 1 / 61 + 1 / 63, "w": 1 / 62, "z": 1 / 63}
    )
    assert found.passages == ("y", "x", "w", "z")
    assert fused("rrf", A, B, k=0).scores == pytest.approx((1 / 2 + 1, 1 + 1 / 3, 1 / 2, 1 / 3))


def test_tied_passages_share_the_mean_over_their_ranks() -> None:
    # ranks of x and y: 2 and 3, tied; of z: 1; of w: 4
    mean = (1 / 62 + 1 / 63) / 2
    found = fused("rrf", ranking(z=3, x=2, y=2, w=1))
    assert dict(zip(found.passages, found.scores, strict=True)) == pytest.approx(
        {"z": 1 / 61, "x": mean, "y": mean, "w": 1 / 64}
    )
    # beside a member that has them as y, x, w, z
    both = fused("rrf", ranking(z=3, x=2, y=2, w=1), ranking(y=4, x=3, w=2, z=1))
    assert dict(zip(both.passages, both.scores, strict=True)) == pytest.approx(
        {"y": mean + 1 / 61, "z": 1 / 61 + 1 / 64, "x": mean + 1 / 62, "w": 1 / 64 + 1 / 63}
    )
    assert both.passages == ("y", "x", "z", "w")


def test_a_member_that_tells_nothing_apart_leaves_the_order_to_the_other() -> None:
    other = ranking(z=0.9, y=0.5, w=0.4, x=0.1)
    assert fused("rrf", ranking(w=0, x=0, y=0, z=0), other).passages == other.passages


def test_sums_of_min_max_by_hand() -> None:
    # A: x (9-1)/8 = 1, y 0.5, z 0; B: y 1, w 0.375, x 0. What is missing has the least: 0
    found = fused("combsum", A, B)
    assert dict(zip(found.passages, found.scores, strict=True)) == pytest.approx({"y": 1.5, "x": 1, "w": 0.375, "z": 0})
    weighed = fused("combsum", A, B, weights="1,4")
    assert dict(zip(weighed.passages, weighed.scores, strict=True)) == pytest.approx(
        {"y": 4.5, "w": 1.5, "x": 1, "z": 0}
    )
    assert fused("combsum", A, B, weights="1,0").passages == ("x", "y", "w", "z")  # w and z tie at 0: by id


def test_sums_of_z_scores_by_hand() -> None:
    # 3, 1: mean 2, deviation 1: +1, -1. 8, 4, 0: mean 4, deviation sqrt(32/3). What is missing has the least.
    one, deviation = ranking(x=3, y=1), (32 / 3) ** 0.5
    found = fused("combsum", one, ranking(y=8, x=4, z=0), normalisation="z-score")
    expected = {"x": 1.0, "y": -1 + 4 / deviation, "z": -1 - 4 / deviation}
    assert dict(zip(found.passages, found.scores, strict=True)) == pytest.approx(expected)


def test_a_member_of_one_score_or_none_says_nothing() -> None:
    for normalisation in ("min-max", "z-score"):
        same = fused("combsum", A, ranking(z=7, x=7, w=7), Ranking((), ()), normalisation=normalisation)
        alone = fused("combsum", A, normalisation=normalisation)
        assert same.passages[:2] == alone.passages[:2] == ("x", "y")
        assert same.scores[2] == same.scores[3] == alone.scores[2] and same.passages[2:] == ("w", "z")
    assert fused("rrf", Ranking((), ()), Ranking((), ())).passages == ()


SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), max_size=8)


@given(st.lists(SCORES, min_size=2, max_size=4), st.integers(1, 9), st.sampled_from(["rrf", "combsum"]))
def test_the_order_of_members_does_not_matter(members: list[dict[str, float]], depth: int, name: str) -> None:
    rankings = [ranking(**scores) for scores in members]
    assert len({fused(name, *order, depth=depth) for order in permutations(rankings)}) == 1


@given(SCORES, st.sampled_from([("rrf", {}), ("combsum", {}), ("combsum", {"normalisation": "z-score"})]))
def test_a_member_fused_with_itself_keeps_its_order(
    scores: dict[str, float], how: tuple[str, Mapping[str, Any]]
) -> None:
    own = ranking(**scores)
    assert fused(how[0], own, own, **how[1]).passages == own.passages


TIED = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 1.0, 2.0]), max_size=8)


@given(TIED, SCORES, st.permutations("abcdefgh"))
def test_the_ids_of_tied_passages_do_not_change_scores(
    tied: dict[str, float], scores: dict[str, float], ids: list[str]
) -> None:
    renamed = dict(zip("abcdefgh", ids, strict=True))
    one = fused("rrf", ranking(**tied), ranking(**scores))
    other = fused("rrf", *(ranking(**{renamed[name]: score for name, score in of.items()}) for of in (tied, scores)))
    again = {renamed[name]: score for name, score in zip(one.passages, one.scores, strict=True)}
    assert again == dict(zip(other.passages, other.scores, strict=True))


@given(st.lists(SCORES, min_size=2, max_size=3), st.integers(1, 9))
def test_all_that_was_found_is_ranked_best_first_and_ties_by_id(members: list[dict[str, float]], depth: int) -> None:
    found = fused("rrf", *[ranking(**scores) for scores in members], depth=depth)
    union = {passage for scores in members for passage in scores}
    assert len(found.passages) == min(depth, len(union)) and set(found.passages) <= union
    pairs = list(zip(found.passages, found.scores, strict=True))
    assert pairs == sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def test_members_must_have_answered_the_same_queries() -> None:
    with pytest.raises(BadInput, match="'r'"):
        rule("rrf").fuse("f", [Run("a", 1, {"q": A}), Run("b", 1, {"q": A, "r": B})], 1)


@pytest.mark.parametrize("name", ["rrf", "combsum"])
def test_members_cannot_keep_fewer_passages_than_the_fusion(name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}.depth = 5 is less than the 50 passages"):
        rule(name, depth=5).member_depth(50)
    assert [rule(name, depth=deep).member_depth(50) for deep in (None, 50, 80)] == [50, 50, 80]


@pytest.mark.parametrize("weights", ["1", "1,2,3", "0,0"])
def test_weights_must_fit_the_members(weights: str) -> None:
    config = RETRIEVERS["combsum"].config.model_validate({"weights": weights})
    with pytest.raises(UsageError, match="does not weigh 2 systems"):
        build_chain(parse_system("combsum(bm25,minilm)"), {"combsum": config}, Resources())


@pytest.mark.parametrize("weights", ["-1,2", "nan,1", "inf,1", "a,b"])
def test_weights_are_numbers_of_at_least_0(weights: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        RETRIEVERS["combsum"].config.model_validate({"weights": weights})


@pytest.mark.parametrize("pools", [None, {"q1": tuple(TEXTS), "q2": ("p1", "p5"), "q3": ()}])
def test_a_system_fuses_what_its_members_find(pools: dict[str, tuple[str, ...]] | None) -> None:
    dense = f"dense:{tiny_encoder()}"
    seen = view(pools=pools)

    def found(text: str, depth: int, **configs: Any) -> Any:
        return retrieve(index(build_chain(parse_system(text), configs, Resources()), seen), depth=depth)

    whole = found(f"rrf(bm25>{dense},rrf(bm25,{dense}))>{dense}", 3)
    members = [found(f"bm25>{dense}", 3), found(f"rrf(bm25,{dense})", 3)]
    assert whole.run.system == f"rrf(bm25>{dense},rrf(bm25,{dense}))>{dense}"
    for query, row in whole.run.rankings.items():
        expected = fused("rrf", *[member.run.rankings[query] for member in members], depth=3)
        assert set(row.passages) == set(expected.passages)
    assert whole.facts[f"bm25>{dense}: queries_without_terms"] == 0
    assert whole.facts[f"rrf(bm25,{dense}): {dense}: passages"] == len(TEXTS)
    shallow = found(f"rrf(bm25,{dense})", 1)
    deep = found(f"rrf(bm25,{dense})", 1, rrf=RETRIEVERS["rrf"].config.model_validate({"depth": 5}))
    all_of_it = found(f"rrf(bm25,{dense})", 5)
    for query in QUESTIONS:
        assert deep.run.rankings[query].passages == all_of_it.run.rankings[query].passages[:1]
    assert shallow.run.depth == 1


def test_times_of_members_add_up_and_their_rerankers_are_named() -> None:
    dense = f"dense:{tiny_encoder()}"
    system = parse_system(f"rrf(bm25>{dense},{dense})>{dense}")
    (timed,) = time_queries([index(build_chain(system, {}, Resources()), view())], depth=3)
    seconds = timed.seconds
    assert list(seconds) == ["encode", "search", f"bm25>{dense}: rerank 1", "rerank 1"]
    assert all(len(times) == 3 and min(times) > 0 for times in seconds.values())
