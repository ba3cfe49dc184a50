"""What goes wrong with a real engine or server is said, and the same command goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from tests.vllm.desk import Desk
from tests.vllm.served import Served
from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.lm.base import LanguageModel
from uae_bench.lm.connection import Connection
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import parse_lm

FAMILY = "lfm2"
LABELLED = 24  # queries: several planned batches


def test_an_engine_without_memory_says_what_to_change_and_leaves_room_for_another(
    served: Callable[[str], Served],
) -> None:
    served(FAMILY)  # starts meanwhile
    with pytest.raises(NotPossible, match="lacks memory") as caught, _engine(cache_gib=0.001) as model:
        model.score([("one two", " three")])
    assert "--lm-cache-gib" in caught.value.hint
    with _engine(cache_gib=0.05) as model:
        assert model.score([("one two", " three")])[0].logprob < 0


def _engine(cache_gib: float) -> AbstractContextManager[LanguageModel]:
    return parse_lm("vllm:lab:neox").open(LmResources(cache_gib=cache_gib))


def test_another_model_and_a_prompt_beyond_the_window_are_refused(served: Callable[[str], Served]) -> None:
    server = served(FAMILY)
    server.wait()
    url = server.spec.partition("@")[2]
    with pytest.raises(ModelUnavailable, match="serves no model 'other'") as caught:
        parse_lm(f"openai:other@{url}").identity()
    assert FAMILY in caught.value.hint
    connection = Connection(FAMILY, url, LmResources())
    with closing(connection.client), pytest.raises(ModelUnavailable, match="answered 400") as refused:
        connection.together(connection.score, [[5] * 3000])
    assert "--set lm.window" in refused.value.hint


def test_a_run_against_the_server_stops_at_its_cap_and_goes_on_without_it(
    served: Callable[[str], Served], tmp_path: Path
) -> None:
    server = served(FAMILY)
    server.wait()
    desk = Desk(tmp_path / "capped", server)
    code, _, said = desk.run("--limit", "5", "--max-tokens-total", "500")
    assert code == 1, said
    assert "more than --max-tokens-total allows" in said and "run the same command again" in said
    code, printed, said = desk.run("--limit", "5")
    assert code == 0, said
    assert "bm25" in printed and f"openai:{FAMILY}" in printed
    record = json.loads(*desk.records().values())
    assert record["models"]["scorer and generator"]["spec"] == f"openai:{FAMILY}"
    assert {one["measure"]: one["n"] for one in record["measures"]}["TokenF1"] > 0


def test_killed_while_labelling_and_started_again_the_records_are_those_of_an_undisturbed_run(
    served: Callable[[str], Served], tmp_path: Path
) -> None:
    server = served(FAMILY)
    server.wait()
    options = ("--limit", str(LABELLED), "--lm-concurrency", "1")  # alone, an answer is the same to the last digit
    whole, broken = Desk(tmp_path / "whole", server), Desk(tmp_path / "broken", server)
    before = server.finished()
    code, _, said = whole.run(*options)
    assert code == 0, said
    needed = server.finished() - before

    running = broken.start(*options)
    until = time.monotonic() + 300
    while not broken.finished() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    server.kill()
    _, said = running.communicate(timeout=300)
    assert running.returncode == 1, said
    assert "cannot be reached" in said and "finished calls are kept" in said and "the same command goes on" in said
    assert "Traceback" not in said
    kept = broken.finished()
    assert 0 < kept < whole.finished()

    server.start()
    server.wait()
    code, _, said = broken.run(*options)
    assert code == 0, said
    assert server.finished() == needed - kept  # what was finished is not asked for again
    assert broken.finished() == whole.finished()
    assert broken.records() == whole.records() != {}
