"""The machine that times are taken on, as far as it decides them; no torch."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path


def host(device: str) -> Mapping[str, str]:
    """Processor, cores, threads that were asked for, and the device as it was named."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    told = {"machine": platform.machine(), "processor": processor(), "cores": str(os.cpu_count()), "device": device}
    return {**told, "threads": threads} if threads else told


@cache
def processor() -> str:
    """The processor's own name, "" where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
