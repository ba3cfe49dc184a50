"""`doctor` finds a real engine and a real server sound, and a chat template that is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lm.conftest import CHAT
from tests.vllm.desk import ended
from tests.vllm.parity import FAMILIES
from tests.vllm.served import Served
from uae_bench.lab.families import weights_folder

FAMILY = "llama"  # it opens texts with a begin token


def probes(*specs: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the probes of all models, and what was said of failures."""
    chosen = [part for spec in specs for part in ("--lm", spec)]
    code, printed, said = ended("doctor", *chosen, "--json")
    told = json.loads(printed, parse_constant=pytest.fail)
    assert [model["name"] for model in told["models"]] == list(specs)
    return code, [probe for model in told["models"] for probe in model["probes"]], said


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """A chat template that opens with the begin token twice."""
    path = tmp_path / "doubled.jinja"
    path.write_text("{{ bos_token }}" + CHAT)
    return path


@pytest.fixture
def unsound(tmp_path: Path, doubled: Path) -> Iterator[Served]:
    """A server of that template."""
    server = Served(FAMILY, tmp_path / "unsound.log", "--chat-template", str(doubled))
    server.start()
    yield server
    server.kill()


def test_a_sound_engine_and_a_sound_server_pass_every_probe(served: Callable[[str], Served]) -> None:
    server = served(FAMILIES[0])
    server.wait()
    code, found, said = probes(f"vllm:lab:{FAMILY}", server.spec)
    assert code == 0, said
    assert {probe["verdict"] for probe in found} == {"passed"}
    assert {"likelihood", "begin", "boundary", "chain rule", "order", "batch", "truncation", "prompt tokens"} <= {
        probe["probe"] for probe in found
    }


def test_two_begin_tokens_are_found_in_an_engine_and_in_a_server(
    unsound: Served, doubled: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(weights_folder(FAMILY), folder)
    shutil.copy(doubled, folder / "chat_template.jinja")
    unsound.wait()
    for spec in (f"vllm:{folder}", unsound.spec):
        code, found, said = probes(spec)
        assert code == 3, said
        (begin,) = (probe for probe in found if probe["verdict"] == "failed")
        assert (begin["probe"], begin["note"]) == ("begin", "it stands 2 times")
        assert f"{spec} fails begin" in said
