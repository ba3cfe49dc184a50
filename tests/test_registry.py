"""Names and the code behind them: lazy, never shadowed, never guessed."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from uae_bench.errors import BadInput, UnknownName
from uae_bench.registry import Registry, merge, nearest

TABLE = {"fractions": "fractions:Fraction", "gone": "no_such_module:thing", "half": "fractions:Half"}


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "uae_bench.things")


def test_a_name_gives_the_object_behind_it_and_imports_it_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    registry: Registry[object] = Registry("thing", {"colours": "colorsys:rgb_to_hls"})
    assert "colours" in registry
    assert list(registry) == ["colours"]
    assert "colorsys" not in sys.modules
    assert callable(registry["colours"])
    assert "colorsys" in sys.modules


def test_an_unknown_name_comes_with_the_nearest() -> None:
    registry: Registry[object] = Registry("thing", TABLE)
    with pytest.raises(UnknownName, match="no thing is called 'fractoins'") as caught:
        registry["fractoins"]
    assert caught.value.hint == "did you mean fractions?"


@pytest.mark.parametrize("name", ["gone", "half"])
def test_a_name_that_points_nowhere_is_said(name: str) -> None:
    registry: Registry[object] = Registry("thing", TABLE)
    with pytest.raises(BadInput, match="cannot be imported") as caught:
        registry[name]
    assert TABLE[name] in str(caught.value)


def test_other_packages_add_names_with_a_slash() -> None:
    assert merge("thing", TABLE, [point("lab/mine", "mine:Thing")])["lab/mine"] == "mine:Thing"
    with pytest.raises(BadInput, match="carry a slash"):
        merge("thing", TABLE, [point("fractions", "mine:Thing")])


def test_a_name_claimed_twice_names_both() -> None:
    twice = [point("lab/mine", "one:Thing"), point("lab/mine", "other:Thing")]
    with pytest.raises(BadInput, match="one:Thing and other:Thing"):
        merge("thing", {}, twice)
    assert merge("thing", {}, [twice[0], twice[0]]) == {"lab/mine": "one:Thing"}


def test_a_hint_names_the_nearest_and_else_all() -> None:
    assert nearest("nDGC", ["nDCG", "AP"]) == "did you mean nDCG?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "none is known"
