"""Real vLLM: these tests run in an environment of their own (`make test-vllm`) and are skipped aloud in any other."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from uae_bench.lab.families import weights_folder

HERE = Path(__file__).parent
START_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("vllm") is None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="vLLM is not installed here: make test-vllm"))


class Served:
    """`vllm serve` of a lab family on a loopback port; it can be killed and started again."""

    def __init__(self, family: str, log: Path) -> None:
        self.family = family
        self.log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def spec(self) -> str:
        return f"openai:{self.family}@http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            # what `vllm serve` starts; that command itself asks for metadata which the CPU package does not have
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(weights_folder(self.family)),
            "--served-model-name", self.family, "--host", "127.0.0.1", "--port", str(self.port),
            "--dtype", "float32", "--load-format", "safetensors", "--enforce-eager",
            "--kv-cache-memory-bytes", str(2**29), "--compilation-config", '{"custom_ops": ["-rotary_embedding"]}',
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1)
                return
            except OSError:
                assert self._process.poll() is None, self.log.read_text()[-3000:]
                time.sleep(0.5)
        raise AssertionError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        """kill -9 of the server and everything that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(params=["lfm2", "llama", "neox"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """One lab family after the other behind a real server."""
    server = Served(request.param, tmp_path / "server.log")
    server.start()
    yield server
    server.kill()
