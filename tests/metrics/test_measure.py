from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.errors import BadInput, UnknownName
from uae_bench.metrics import MEASURES, Measure


@pytest.mark.parametrize(
    "text",
    [
        "nDCG@10",
        "R@5",
        "Success@1",
        "AP",
        "RR",
        "RR@10",
        "P@3",
        "ExpUtil@1",
        "uNDCG@10",
        "TokenF1",
        "TokenF1(context=gold)",
        "EM",
        "EvidenceF1@3",
        "ROUGE-L(stem=no)",
        "ROUGE-L(context=none,stem=yes)",
        "Lift",
        "Harm",
    ],
)
def test_a_measure_prints_as_it_was_spelled(text: str) -> None:
    assert str(Measure.parse(text)) == text


def test_the_default_choice_and_the_spelled_one_are_the_same_measure() -> None:
    assert Measure.parse("TokenF1(context=retrieved)") == Measure.parse("TokenF1")


def test_rouge_always_says_whether_it_stems() -> None:
    assert str(Measure.parse("ROUGE-L")) == "ROUGE-L(stem=no)"


def test_options_print_in_one_order_however_they_were_spelled() -> None:
    assert str(Measure.parse("ROUGE-L(stem=yes, context=gold)")) == "ROUGE-L(context=gold,stem=yes)"


@given(st.sampled_from(sorted(MEASURES)), st.integers(1, 10_000), st.data())
def test_whatever_parses_prints_back_to_itself(name: str, cutoff: int, data: st.DataObject) -> None:
    family = MEASURES[name]
    chosen = [f"{option}={data.draw(st.sampled_from(sorted(family.options[option])))}" for option in family.options]
    cut = family.cutoff == "required" or (family.cutoff == "optional" and data.draw(st.booleans()))
    measure = Measure.parse(name + (f"({','.join(chosen)})" if chosen else "") + (f"@{cutoff}" if cut else ""))
    assert Measure.parse(str(measure)) == measure


@pytest.mark.parametrize(("wrong", "near"), [("nDGC@10", "nDCG"), ("Succes@1", "Success"), ("MAP", "AP")])
def test_a_wrong_name_is_answered_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownName) as error:
        Measure.parse(wrong)
    assert near in error.value.hint


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("R", "needs a cutoff"),
        ("AP@", "spells no measure"),
        ("R@0", "cutoff"),
        ("R@-1", "cutoff"),
        ("R@five", "cutoff"),
        ("R@²", "cutoff"),
        ("TokenF1@3", "takes no cutoff"),
        ("TokenF1(model=x)", "no option 'model'"),
        ("TokenF1(context=best)", "cannot be 'best'"),
        ("R(rel=2)@5", "no option 'rel'"),
        ("", "spells no measure"),
        ("two words", "spells no measure"),
    ],
)
def test_a_spelling_that_makes_no_sense_is_refused(wrong: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        Measure.parse(wrong)
    assert error.value.hint


def test_a_measure_says_what_it_needs() -> None:
    assert Measure.parse("AP").needs == {"qrels"}
    assert Measure.parse("ExpUtil@1").needs == {"utilities"}
    assert Measure.parse("EM").needs == {"annotations", "generations"}
    assert Measure.parse("EM(context=gold)").needs == {"annotations", "gold"}
    assert Measure.parse("Lift").needs == {"annotations", "generations", "closed_book"}


def test_only_harm_is_better_when_lower() -> None:
    assert [name for name in MEASURES if not MEASURES[name].higher_is_better] == ["Harm"]
