"""vLLM's own server on a loopback port, with a family of the lab; it can be killed and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from uae_bench.lab.families import weights_folder

START_SECONDS = 600


class Served:
    """A server of one family. `log` is what it prints, `options` are vLLM's own."""

    def __init__(self, family: str, log: Path, *options: str) -> None:
        self.family = family
        self.log = log
        self.options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def spec(self) -> str:
        """How uae-bench names it."""
        return f"openai:{self.family}@http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it, unless it runs."""
        command = [
            # what `vllm serve` starts; that command itself asks for metadata which the CPU package does not have
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(weights_folder(self.family)),
            "--served-model-name", self.family, "--host", "127.0.0.1", "--port", str(self.port),
            "--dtype", "float32", "--load-format", "safetensors", "--enforce-eager",
            "--kv-cache-memory-bytes", str(2**29), "--compilation-config", '{"custom_ops": ["-rotary_embedding"]}',
            *self.options,
        ]  # fmt: skip
        if self._process is None:
            fewer = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # no process of its own for one worker
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, env=fewer, start_new_session=True)

    def wait(self) -> None:
        """Until it answers."""
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                self._get("/health")
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

    def finished(self) -> int:
        """Requests that it has answered since it started, by its own count."""
        counts = re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", self._get("/metrics"), re.MULTILINE)
        return round(sum(map(float, counts)))

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
