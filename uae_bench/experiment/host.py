"""The machine that times are taken on, as far as it decides them; no torch."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path


def host(device: str) -> Mapping[str, str]:
    """Processor, cores, threads that were asked for, and the device; `auto` without an accelerator is `cpu`.

    Where work may run on an accelerator, all that decides whether and on which: the device as it was named, the
    accelerators, and torch's version, some builds of which know no accelerator.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    told = {"machine": platform.machine(), "processor": processor(), "cores": str(os.cpu_count())}
    found = () if device == "cpu" else accelerators()
    told["device"] = "cpu" if device == "auto" and not found else device
    if found:
        told |= {"accelerators": ", ".join(found), "torch": version("torch")}
    return {**told, "threads": threads} if threads else told


@cache
def accelerators() -> tuple[str, ...]:
    """The CUDA devices that this process may see, by name, as the driver itself tells; empty where there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    names = []
    for number in range(count.value):
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode())
    return tuple(names)


@cache
def processor() -> str:
    """The processor's own name, "" where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
