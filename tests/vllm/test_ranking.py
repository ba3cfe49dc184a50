"""A model behind a real server orders passages, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.vllm.desk import Desk
from tests.vllm.parity import FAMILIES
from tests.vllm.served import Served
from uae_bench import runs
from uae_bench.result import read_record
from uae_bench.retrieval.listwise import window_starts

FAMILY = FAMILIES[-1]
QUERIES, WINDOW, STEP = 3, 4, 2


def ranking(path: Path) -> dict[str, list[str]]:
    """Query -> passages, best first, by the lines of a TREC file."""
    found: dict[str, list[str]] = {}
    for query, _, passage, *_ in map(str.split, path.read_text().splitlines()):
        found.setdefault(query, []).append(passage)
    return found


def test_a_served_model_ranks_and_answers_and_every_query_has_its_account(
    served: Callable[[str], Served], tmp_path: Path
) -> None:
    server = served(FAMILY)
    server.wait()
    desk = Desk(tmp_path / "desk", server)
    smaller = ("--set", f"rankgpt.window={WINDOW}", "--set", f"rankgpt.step={STEP}")
    code, printed, said = desk.run("--retriever", "bm25>rankgpt", "--limit", str(QUERIES), *smaller)
    assert code == 0, said
    assert "bm25>rankgpt" in printed

    rows = {read_record(path).system: path.parent for path in desk.folder.rglob("record.json")}
    assert set(rows) == {"bm25", "bm25>rankgpt"}
    record = read_record(rows["bm25>rankgpt"] / "record.json")
    assert {record.models[use].spec for use in ("asked by rankgpt", "scorer and generator")} == {f"openai:{FAMILY}"}
    assert {one.measure: one.n for one in record.measures}["TokenF1"] > 0

    first, ranked = (ranking(rows[name] / "run.trec") for name in ("bm25", "bm25>rankgpt"))
    assert len(ranked) == QUERIES
    assert {query: set(row) for query, row in ranked.items()} == {query: set(row) for query, row in first.items()}

    asked = {one.query: one for one in runs.read_asked(rows["bm25>rankgpt"] / "asked.jsonl")}
    assert asked.keys() == ranked.keys()
    for query, account in asked.items():
        assert account.calls == len(window_starts(len(first[query]), WINDOW, STEP)) > 1
        assert sum(account.outcomes.values()) == account.calls
        assert account.prompt_tokens > account.calls * WINDOW and account.completion_tokens > 0
    cost = record.costs["run"]
    assert cost.calls == sum(cost.outcomes.values()) == sum(one.calls for one in asked.values())
    assert cost.outcomes == {
        outcome: sum(one.outcomes.get(outcome, 0) for one in asked.values()) for outcome in cost.outcomes
    }
