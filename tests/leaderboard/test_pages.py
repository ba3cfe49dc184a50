"""What a page says of values whose means are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.leaderboard.parts import ENOUGH, digest, write_result
from uae_bench.errors import BadInput
from uae_bench.leaderboard import add_results, render_boards
from uae_bench.result import ArtifactRef, Cost, ModelRef, read_record

TEACHER = ModelRef(spec="lab:one", identity={"weights": digest("one")}, family="llama")


def page(boards: Path, *folders: Path) -> str:
    add_results(folders, boards)
    (path,) = render_boards(boards)
    return path.read_text(encoding="utf-8")


def cells(text: str, system: str, heading: str = "### Retrieval") -> list[str]:
    """The cells of a system's line in the table under a heading, each without the spaces that pad it."""
    lines = text.split(heading, 1)[1].splitlines()
    line = next(line for line in lines if line.startswith(f"| {system}"))
    return [cell.strip() for cell in line.strip("|").split(" | ")][1:]


def alternating(low: float, high: float) -> list[float]:
    return [low, high] * (ENOUGH // 2)


def test_a_cell_is_the_mean_with_its_records_own_interval(tmp_path: Path) -> None:
    # twelve 0.25 and twelve 0.75: mean 0.5
    folder = write_result(tmp_path / "run", {"AP": alternating(0.25, 0.75)})
    said = read_record(folder / "record.json").measures[0]
    assert cells(page(tmp_path / "boards", folder), "bm25") == [f"0.500<br>[{said.low:.3f}, {said.high:.3f}]"]


def test_the_best_is_bold_where_it_is_separated_from_all_others_and_ties_share_a_letter(tmp_path: Path) -> None:
    # good beats both by 0.8 in each of 24 documents; fair and poor take turns by 0.1, so their means are equal
    folders = [
        write_result(tmp_path / name, {"AP": values}, system=name)
        for name, values in {
            "good": [0.95] * ENOUGH,
            "fair": alternating(0.1, 0.2),
            "poor": alternating(0.2, 0.1),
        }.items()
    ]
    text = page(tmp_path / "boards", *folders)
    assert cells(text, "good")[0].startswith("**0.950**")
    assert cells(text, "good")[0].endswith("a, rank 1")
    assert cells(text, "fair")[0].startswith("0.150<br>")
    assert [cells(text, name)[0].rsplit("<br>")[-1] for name in ("fair", "poor")] == ["b, rank 2–3"] * 2


def test_nobody_is_bold_where_the_best_two_are_tied(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / name, {"AP": values}, system=name)
        for name, values in {"one": alternating(0.1, 0.2), "two": alternating(0.2, 0.1)}.items()
    ]
    assert "**0." not in page(tmp_path / "boards", *folders)


def test_where_less_is_better_the_least_is_bold_and_first(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / name, {"Harm": [value] * ENOUGH}, system=name)
        for name, value in {"mild": 0.0, "harmful": 1.0}.items()
    ]
    text = page(tmp_path / "boards", *folders)
    assert "Harm (lower is better)" in text
    assert cells(text, "mild", "### Answers")[0] == "**0.000**<br>[0.000, 0.000]<br>a, rank 1"
    assert text.index("| mild") < text.index("| harmful")


def test_prompts_of_judges_part_tables_and_those_that_a_row_asks_with_do_not(tmp_path: Path) -> None:
    judging = {"plain": digest("judging")}
    ranks = judging | {"asking plain, retrieval": digest("ranking")}
    folders = [
        write_result(tmp_path / name, {"AP": values}, system=name, prompts=prompts)
        for name, values, prompts in (
            ("bm25", [0.0] * ENOUGH, judging),
            ("bm25>rankgpt", [1.0] * ENOUGH, ranks),
            ("elsewhere", [1.0] * ENOUGH, {"plain": digest("other words")}),
        )
    ]
    text = page(tmp_path / "boards", *folders)
    assert text.count("### Retrieval") == 2
    first, second = (part.partition("### ")[0] for part in text.split("### Retrieval")[1:])
    together = first if "bm25\\>rankgpt" in first else second
    assert "| bm25 " in together
    assert "elsewhere" not in together


def test_references_stand_last_in_italics_and_take_no_part(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / "oracle", {"AP": [1.0] * ENOUGH}, system="oracle", kind="reference"),
        write_result(tmp_path / "good", {"AP": [0.5] * ENOUGH}, system="good"),
        write_result(tmp_path / "poor", {"AP": [0.0] * ENOUGH}, system="poor"),
    ]
    text = page(tmp_path / "boards", *folders)
    assert cells(text, "*oracle*<br>reference")[0] == "*1.000*<br>[1.000, 1.000]"
    assert cells(text, "good")[0].endswith("a, rank 1")
    assert text.index("| poor") < text.index("| *oracle*")


def test_every_pair_is_told_the_greater_first_and_references_are_tested_apart(tmp_path: Path) -> None:
    levels = {"oracle": 1.0, "good": 0.75, "poor": 0.0}
    folders = [
        write_result(
            tmp_path / name, {"AP": [level] * ENOUGH}, system=name, kind="reference" if level == 1 else "system"
        )
        for name, level in levels.items()
    ]
    told = page(tmp_path / "boards", *folders).partition("### Every pair")[2].partition("</details>")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines() if line.startswith("| ")][1:]
    assert [row[:3] for row in rows] == [
        ["*oracle*", "poor", "+1.000 [1.000, 1.000]"],
        ["good", "poor", "+0.750 [0.750, 0.750]"],
        ["*oracle*", "good", "+0.250 [0.250, 0.250]"],
    ]
    # the least p that 20,000 flips allow, 0.00005: three pairs have it where references take part, and one alone
    assert [row[3:] for row in rows] == [["< 0.0001", "0.0001"], ["< 0.0001", "< 0.0001"], ["< 0.0001", "0.0001"]]


def test_rows_made_elsewhere_are_marked_and_tested(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / "theirs", {"AP": [1.0] * ENOUGH}, system="theirs", kind="imported"),
        write_result(tmp_path / "poor", {"AP": [0.0] * ENOUGH}, system="poor"),
    ]
    assert cells(page(tmp_path / "boards", *folders), "theirs<br>imported")[0].startswith("**1.000**")


def test_below_twenty_effective_documents_nothing_is_told_apart_and_the_page_says_why(tmp_path: Path) -> None:
    # 24 queries, two to a document: 24² / (12 · 2²) = 12 effective documents
    documents = [f"d{index // 2}" for index in range(ENOUGH)]
    folders = [
        write_result(tmp_path / name, {"AP": [value] * ENOUGH}, system=name, documents=documents)
        for name, value in {"good": 1.0, "poor": 0.0}.items()
    ]
    text = page(tmp_path / "boards", *folders)
    assert cells(text, "good") == ["1.000<br>[1.000, 1.000]"]
    assert "- No letters, ranks or bold: only 12.0 effective documents, fewer than 20. (AP)" in text
    assert cells(text, "*effective documents*") == ["12.0"]


def trained(seed: int) -> dict[str, ArtifactRef]:
    return {
        "train uae": ArtifactRef(stage="train", key=digest("t"), digest=digest("m")),
        "evaluate": ArtifactRef(stage="evaluate", key=digest(f"e{seed}"), digest=digest("v")),
    }


def test_seeds_are_averaged_and_their_spread_stands_beside_the_interval(tmp_path: Path) -> None:
    # seed means 0.4 and 0.6; the row's mean 0.5
    seeds = [
        write_result(
            tmp_path / f"seed{seed}", {"AP": [value] * ENOUGH}, system="uae", seed=seed, artifacts=trained(seed)
        )
        for seed, value in enumerate((0.4, 0.6))
    ]
    once = write_result(tmp_path / "once", {"AP": [0.5] * ENOUGH})
    text = page(tmp_path / "boards", *seeds, once)
    assert cells(text, "uae<br>2 seeds")[0].startswith("0.500<br>[0.500, 0.500]<br>")
    assert cells(text, "uae<br>2 seeds")[0].endswith("seeds 0.400 to 0.600")
    assert "seeds" not in cells(text, "bm25")[0]
    assert "Training seeds: uae (2). No claim about the method from three seeds or fewer" in text


def test_one_trained_seed_is_no_claim_either_and_an_untrained_system_needs_none(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / "uae", {"AP": [0.5] * ENOUGH}, system="uae", artifacts=trained(0)),
        write_result(tmp_path / "bm25", {"AP": [0.5] * ENOUGH}),
    ]
    assert "Training seeds: uae (1). No claim" in page(tmp_path / "boards", *folders)


def test_the_same_system_otherwise_configured_is_another_row_named_by_what_differs(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / f"{b}", {"AP": [b] * ENOUGH}, settings={"bm25": {"k1": 1.2, "b": b}})
        for b in (0.4, 0.75)
    ]
    text = page(tmp_path / "boards", *folders)
    assert cells(text, "bm25 (bm25.b=0.4)")[0].startswith("0.400")
    assert cells(text, "bm25 (bm25.b=0.75)")[0].startswith("**0.750**")


def test_a_seed_that_was_set_is_a_setting_like_any_other(tmp_path: Path) -> None:
    """What `seper` samples by: the same for the seeds of a training, whichever of them it happens to equal."""
    rows = [(0, 0), (1, 0), (0, 1), (1, 1)]
    folders = [
        write_result(
            tmp_path / f"{seed}{drawn}", {"AP": [0.5] * ENOUGH}, seed=seed, settings={"seper": {"seed": drawn}}
        )
        for n, (seed, drawn) in enumerate(rows)
    ]
    text = page(tmp_path / "boards", *folders)
    assert "bm25 (seper.seed=0)<br>2 seeds" in text and "bm25 (seper.seed=1)<br>2 seeds" in text
    assert "bm25<br>2 seeds" in page(tmp_path / "other boards", *folders[:2])


@pytest.mark.parametrize(
    "other",
    [
        {"task_digest": digest("toy, version 2")},
        {"pool_digest": digest("other pools")},
        {"definition": "perplexity-reduction"},
        {"models": {"scorer": TEACHER}},
        {"depth": 20},
    ],
)
def test_rows_measured_on_other_grounds_stand_in_other_sections(tmp_path: Path, other: dict[str, Any]) -> None:
    folders = [
        write_result(tmp_path / "one", {"AP": [0.0] * ENOUGH}, system="one"),
        write_result(tmp_path / "two", {"AP": [1.0] * ENOUGH}, system="two", **other),
    ]
    text = page(tmp_path / "boards", *folders)
    assert text.count("## test split, document pool (") == 2
    assert "must not be compared" in text
    assert "rank" not in cells(text, "two")[0]


def test_utility_stands_beside_evidence_and_names_whom_it_favours(tmp_path: Path) -> None:
    values = {"AP": [0.5] * ENOUGH, "ExpUtil@1": [0.1] * ENOUGH}
    models = {"scorer and generator": TEACHER}
    costs = {"labels for uae": Cost(calls=100, prompt_tokens=9000)}
    folders = [
        write_result(tmp_path / "uae", values, system="uae", models=models, costs=costs),
        write_result(tmp_path / "bm25", values, models=models),
    ]
    text = page(tmp_path / "boards", *folders)
    assert "AP<br>human evidence" in text
    assert "ExpUtil@1<br>LLM utility" in text
    assert "log-ratio labels by lab:one (family llama)" in text
    assert "That is circular for uae: trained with labels of the same model" in text
    assert cells(text, "uae", "### Cost")[0] == "100, 9,000, –"


def test_held_out_models_have_tables_of_their_own_and_the_teachers_kin_is_no_held_out_model(tmp_path: Path) -> None:
    models = {
        "scorer": TEACHER,
        "generator": ModelRef(spec="lab:writer", identity={}, family="lfm2"),
        "held-out lab:two": ModelRef(spec="lab:two", identity={}, family="neox"),
        "held-out lab:kin": ModelRef(spec="lab:kin", identity={}, family="llama"),
    }
    names = ("ExpUtil@1", "TokenF1 [lab:writer]", "ExpUtil@1 [lab:two]", "ExpUtil@1 [lab:kin]")
    folder = write_result(tmp_path / "bm25", {name: [0.5] * ENOUGH for name in names}, models=models)
    text = page(tmp_path / "boards", folder)
    assert text.count("| system ") == 5  # retrieval, answers, two held-out models, cost
    assert "### Held out: lab:two\n\nFamily neox; no row was trained on its labels." in text
    assert "### Held out: lab:kin\n\n**Not held out**: of the family llama, like the teacher lab:one." in text
    assert "Written by lab:writer (family lfm2) from the first passage retrieved." in text


@pytest.mark.parametrize(
    ("teacher", "held_out", "whose"),
    [("llama", "unknown", "its"), ("unknown", "neox", "the teacher lab:one's"), ("unknown", "unknown", "its")],
)
def test_an_unknown_family_is_not_shown_to_be_held_out(tmp_path: Path, teacher: str, held_out: str, whose: str) -> None:
    models = {
        "scorer": ModelRef(spec="lab:one", identity={}, family=teacher),
        "held-out lab:two": ModelRef(spec="lab:two", identity={}, family=held_out),
    }
    values = {name: [0.5] * ENOUGH for name in ("ExpUtil@1", "ExpUtil@1 [lab:two]")}
    text = page(tmp_path / "boards", write_result(tmp_path / "bm25", values, models=models))
    assert f"**Not shown to be held out**: {whose} family is unknown" in text


def test_answers_without_retrieved_passages_are_told_once(tmp_path: Path) -> None:
    values = {"TokenF1": [0.5] * ENOUGH, "TokenF1(context=none)": [0.25] * ENOUGH}
    folders = [write_result(tmp_path / name, values, system=name) for name in ("one", "two")]
    text = page(tmp_path / "boards", *folders)
    assert "- TokenF1(context=none): 0.250 [0.250, 0.250], the same for every system" in text
    assert len(cells(text, "one", "### Answers")) == 1


def test_no_table_is_wider_than_nine_columns(tmp_path: Path) -> None:
    # nine measures: two tables, of four and five
    folder = write_result(tmp_path / "run", {f"R@{cutoff}": [1.0, 0.0] for cutoff in range(1, 10)})
    text = page(tmp_path / "boards", folder)
    assert [line.count(" | ") for line in text.splitlines() if line.startswith("| bm25")][:2] == [4, 5]


def test_undefined_queries_are_counted_by_reason(tmp_path: Path) -> None:
    # defined: 1 and 0, mean 0.5; two of four undefined
    folder = write_result(tmp_path / "run", {"AP": [1.0, 0.0, np.nan, np.nan]})
    text = page(tmp_path / "boards", folder)
    assert cells(text, "bm25")[0].startswith("0.500")
    assert "- Undefined for 2 of 4 queries: nothing is relevant. (AP)" in text


def test_kinds_of_answers_are_broken_down(tmp_path: Path) -> None:
    # extractive: (1 + 0) / 2; yes-no: 1
    folder = write_result(tmp_path / "run", {"AP": [1.0, 0.0, 1.0]}, kinds=["extractive", "extractive", "yes-no"])
    text = page(tmp_path / "boards", folder)
    assert "extractive<br>2 queries" in text
    assert cells(text, "bm25", "### By kind of answer") == ["0.500", "1.000"]


def test_latency_is_in_milliseconds_and_throughput_its_inverse(tmp_path: Path) -> None:
    text = page(tmp_path / "boards", write_result(tmp_path / "run", {"AP": [1.0, 0.0]}))
    assert cells(text, "bm25", "### Cost") == ["2 / 3 / 4", "2 / 3 / 4", "2 / 3 / 4", "500", "1"]


def cost_of(tokens: int) -> Cost:
    return Cost(calls=10, prompt_tokens=tokens)


def made(*roles: str) -> dict[str, ArtifactRef]:
    return {role: ArtifactRef(stage="train", key=digest(role), digest=digest(role)) for role in roles}


def trained_and_reranker(place: Path, **of_the_reranker: Any) -> list[Path]:
    """`uae`: 90 + 10 s and 5,000 tokens once, 2 ms a query; `bm25>rankgpt`: 52 ms, and 400 tokens for 2 queries."""
    once = {"labels for uae": {"seconds": 90.0}, "train uae": {"seconds": 10.0}}
    slow = {"p50": 0.052, "p95": 0.06, "p99": 0.06, "n": 64}
    evaluated = {"evaluate": ArtifactRef(stage="evaluate", key=digest("u"), digest=digest("values"))}
    asked = {"evaluate": ArtifactRef(stage="evaluate", key=digest("r"), digest=digest("values"))}
    return [
        write_result(
            place / "uae",
            {"AP": [1.0, 0.0]},
            system="uae",
            artifacts={**evaluated, **made(*once)},
            costs={"labels for uae": cost_of(5000)},
            measured={"stages": once},
        ),
        write_result(
            place / "reranker",
            {"AP": [1.0, 0.0]},
            system="bm25>rankgpt",
            artifacts=asked,
            costs={"run": cost_of(400)},
            measured={"latency": {"rerank 1": slow, "total": slow}, **of_the_reranker},
        ),
    ]


def test_a_board_says_what_language_models_were_asked_and_how_they_answered(tmp_path: Path) -> None:
    cost = Cost(
        calls=2 * ENOUGH,
        prompt_tokens=100 * ENOUGH,
        completion_tokens=10 * ENOUGH,
        truncated_tokens=ENOUGH // 2,
        outcomes={"missing": 6, "ok": 36, "wrong format": 6},
        repairs={"passages appended": 30},
    )
    values = {"AP": [1.0] * ENOUGH}
    ranked = write_result(
        tmp_path / "a", values, system="bm25>rankgpt", costs={"run": cost}, models={"asked by rankgpt": TEACHER}
    )
    others = "missing 12.5%, wrong format 12.5%"
    told = ["lab:one", "2.0", "110", "75.0%", others, "30 passages appended", "0.5"]
    heading = "### Asked of language models"
    assert cells(page(tmp_path / "boards", ranked), "bm25\\>rankgpt", heading) == told
    assert heading not in page(tmp_path / "others", write_result(tmp_path / "b", values))


def test_a_board_says_how_many_answers_say_nothing_or_were_cut_and_is_silent_where_none(tmp_path: Path) -> None:
    def answered(name: str, **outcomes: dict[str, int]) -> Path:
        costs = {
            f"lab:one {role}": Cost(calls=ENOUGH, prompt_tokens=100, outcomes=outcomes.get(role, {}))
            for role in ("generations", "closed_book")
        }
        return write_result(tmp_path / name, {"AP": [1.0] * ENOUGH}, system=name, costs=costs)

    sound = answered("sound")
    bad = answered(
        "bad", generations={"nothing": 4, "cut at the token limit": 9}, closed_book={"nothing": 2, "declined": 1}
    )
    heads = "say nothing", "cut at<br>the token limit", "answers<br>declined"
    assert not any(head in page(tmp_path / "whole", sound) for head in heads)
    text = page(tmp_path / "boards", sound, bad)
    assert all(head in text for head in heads)
    # of 2 * 24 answers: 6, 9 and 1
    assert cells(text, "bad", "### Cost")[:4] == ["48, 200, –", "6, 12.5%", "9, 18.8%", "1, 2.1%"]
    assert cells(text, "sound", "### Cost")[1:4] == ["–", "–", "–"]


def test_a_board_says_after_how_many_queries_labels_and_training_have_paid(tmp_path: Path) -> None:
    text = page(tmp_path / "boards", *trained_and_reranker(tmp_path))
    # 100 s once, 50 ms saved a query: 2,000 queries; 5,000 tokens once, 400 / 2 a query: 25
    told = ["bm25\\>rankgpt", "100.0", "2 / 52<br>26 ×", "2,000", "5,000", "0 / 200", "25"]
    assert cells(text, "uae", "### Paid for") == told


def test_seconds_of_different_hosts_pay_for_nothing_but_tokens_do(tmp_path: Path) -> None:
    text = page(tmp_path / "boards", *trained_and_reranker(tmp_path, device="cuda (Some GPU)"))
    assert cells(text, "uae", "### Paid for") == ["bm25\\>rankgpt", "100.0", "–", "–", "5,000", "0 / 200", "25"]


def paid(text: str) -> list[list[str]]:
    """The cells of every line of the table of what has paid, without its head."""
    shown = text.partition("### Paid for")[2].split("\n\n")[2]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()[2:]]


def test_a_learner_that_is_reranked_within_a_fusion_pays_for_nothing_and_one_that_learns_nothing_is_paid_against(
    tmp_path: Path,
) -> None:
    uae, reranker = trained_and_reranker(tmp_path)
    stage = {"p50": 0.022, "p95": 0.03, "p99": 0.03, "n": 64}
    timed = {"latency": {"encode": stage, "bm25>rankgpt: rerank 1": stage, "total": stage}}
    values = {"AP": [1.0, 0.0]}
    learnt = write_result(
        tmp_path / "learnt",
        values,
        system="rrf(uae,bm25>rankgpt)",
        artifacts={**made("train uae"), "evaluate": made("learnt")["learnt"]},
        costs={"run": cost_of(400)},
        measured={"stages": {"train uae": {"seconds": 1.0}}, **timed},
    )
    fused = write_result(
        tmp_path / "fused",
        values,
        system="rrf(bm25,bm25>rankgpt)",
        artifacts={"evaluate": made("fused")["fused"]},
        costs={"run": cost_of(200)},
        measured=timed,
    )
    found = paid(page(tmp_path / "boards", uae, reranker, learnt, fused))
    # 100 s once, 20 ms saved a query: 5,000 queries; 5,000 tokens once, 200 / 2 a query: 50
    told = ["100.0", "2 / 22<br>11 ×", "5,000", "5,000", "0 / 100", "50"]
    assert [line for line in found if "bm25,bm25" in line[1]] == [["uae", "rrf(bm25,bm25\\>rankgpt)", *told]]
    assert [line[:2] for line in found] == [["uae", "bm25\\>rankgpt"], ["uae", "rrf(bm25,bm25\\>rankgpt)"]]


def test_what_a_learner_asks_itself_is_not_saved(tmp_path: Path) -> None:
    uae, reranker = trained_and_reranker(tmp_path)
    asking = write_result(
        tmp_path / "asking",
        {"AP": [1.0, 0.0]},
        system="asking",
        artifacts={**made("labels for asking", "train asking"), "evaluate": made("asking")["asking"]},
        costs={"labels for asking": cost_of(5000), "run": cost_of(300)},
        measured={"stages": {"labels for asking": {"seconds": 90.0}, "train asking": {"seconds": 10.0}}},
    )
    text = page(tmp_path / "boards", uae, reranker, asking)
    assert cells(text, "asking", "### Paid for")[-2:] == ["150 / 200", "100"]


def test_references_are_not_paid_for(tmp_path: Path) -> None:
    uae, reranker = trained_and_reranker(tmp_path)
    reference = write_result(
        tmp_path / "reference",
        {"AP": [1.0, 0.0]},
        system="uae>seper",
        kind="reference",
        artifacts={**made("train uae"), "evaluate": made("reference")["reference"]},
        measured={"latency": {}},
    )
    assert [line[0] for line in paid(page(tmp_path / "boards", uae, reranker, reference))] == ["uae"]


def test_without_a_reranker_nothing_is_paid_for(tmp_path: Path) -> None:
    uae, _ = trained_and_reranker(tmp_path)
    assert "### Paid for" not in page(tmp_path / "boards", uae)


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", {"AP": [1.0, 0.0]}, system="bm25>a|b", notes=("<script> & *stars*",))
    text = page(tmp_path / "boards", folder)
    assert r"| bm25\>a\|b" in text
    assert r"\<script\> \& \*stars\*" in text


def test_the_order_of_adding_changes_no_byte(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / f"{name}{seed}", {"AP": alternating(seed / 4, value)}, system=name, seed=seed)
        for name, value in {"one": 0.5, "two": 0.75}.items()
        for seed in (0, 1)
    ]
    assert page(tmp_path / "boards", *folders) == page(tmp_path / "other", *reversed(folders))


def test_rows_that_cannot_be_paired_are_an_error_that_names_them(tmp_path: Path) -> None:
    folders = [
        write_result(tmp_path / "one", {"AP": [1.0, np.nan]}, system="one"),
        write_result(tmp_path / "two", {"AP": [1.0, 0.0]}, system="two"),
    ]
    add_results(folders, tmp_path / "boards")
    with pytest.raises(BadInput, match="AP of the query 'q01' is undefined"):
        render_boards(tmp_path / "boards")


def test_boards_without_records_cannot_be_rendered(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no records"):
        render_boards(tmp_path)
