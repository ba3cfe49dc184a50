"""Real vLLM: these tests run in an environment of their own (`make test-vllm`) and are skipped aloud in any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.vllm.served import Served

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("vllm") is None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="vLLM is not installed here: make test-vllm"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """`served("llama")`: that family behind a real server, which may still be starting; one runs at a time."""
    folder = tmp_path_factory.mktemp("served")
    running: list[Served] = []

    def give(family: str) -> Served:
        if not running or running[0].family != family:
            for server in running:
                server.kill()
            running[:] = [Served(family, folder / f"{family}.log")]
        running[0].start()
        return running[0]

    yield give
    for server in running:
        server.kill()
