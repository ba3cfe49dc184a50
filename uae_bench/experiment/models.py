"""The language model in memory, and the device that work runs on: both settled when a stage first misses."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from uae_bench.errors import NotPossible, UsageError
from uae_bench.lm.local import Dtype
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import LmSpec

if TYPE_CHECKING:
    from uae_bench.lm.base import LanguageModel


class Precision(BaseModel):
    """What `--set lm.…` may set, of every language model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dtype: Dtype = Field(default="float32", description="of the weights, where they are loaded here")
    window: int | None = Field(
        default=None, ge=64, description="tokens that are read at most; needed where a server does not say it"
    )


class Models:
    """Holds one open language model at a time. A context manager: on leaving, its memory is freed.

    Unlike `resources`, what `precision` says changes likelihoods, and so it is part of a model's identity.
    """

    def __init__(self, resources: LmResources, precision: Precision | None = None) -> None:
        self._resources = resources
        self._precision = precision or Precision()
        self._open: dict[LmSpec, LanguageModel] = {}
        self._several = False
        self._stack = ExitStack()

    def get(self, spec: LmSpec) -> LanguageModel:
        """The model, loaded unless it is open already.

        Raises:
            ModelUnavailable: it is neither here nor reachable.
        """
        if spec not in self._open:
            if not self._several:
                self.close()
            resources = replace(self._resources, device=usable_device(self._resources.device))
            opened = spec.open(resources, self._precision.dtype, self._precision.window)
            self._open[spec] = self._stack.enter_context(opened)
        return self._open[spec]

    def keep_several(self) -> None:
        """From now on models stay open beside one another: where they take turns, loading one must not be what is
        timed."""
        self._several = True

    def identity(self, spec: LmSpec) -> Mapping[str, str]:
        """What the model's output depends on, for keys.

        Raises:
            ModelUnavailable: it is neither here nor reachable.
            NotPossible: nobody says how many tokens it reads; asked while planning, this is known before any work.
        """
        told, window = spec.identity(self._precision.dtype), self._precision.window
        if window is not None:
            return {**told, "window": str(window)}
        if told.get("max_model_len") == "":
            what = f"the server of {spec.shown} does not say how many tokens it reads"
            raise NotPossible(what, hint="say it: --set lm.window=8192")
        return told

    def runs_on(self) -> Mapping[str, str]:
        """The device and the libraries that compute what a model whose weights are here says."""
        libraries = {name: _version(name) for name in ("torch", "transformers", "vllm")}
        return {"device": usable_device(self._resources.device), **libraries}

    def close(self) -> None:
        """Free whatever is open."""
        self._open = {}
        self._stack.close()

    def __enter__(self) -> Models:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def require_device(name: str) -> None:
    """Nothing where a name spells a device; whether it is there is seen when a stage first needs it.

    Raises:
        UsageError: no device is called so.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"no device is called {name!r}", hint="auto, cpu, cuda, cuda:1 ... or mps")


def usable_device(wanted: str) -> str:
    """The device that a name means: `auto` is the first CUDA device where there is one, else the CPU.

    Raises:
        NotPossible: this machine, or the torch that is installed, has no such device.
    """
    if wanted == "cpu":
        return wanted
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    there = torch.backends.mps.is_available() if kind == "mps" else torch.cuda.device_count() > int(number or 0)
    if not there:
        raise NotPossible(f"there is no device {wanted} here that torch can use", hint="--device auto takes what is")
    return wanted


def used_device(wanted: str) -> str:
    """Where work of this process may have run: `cpu`, or the accelerator with its name, `cuda (NVIDIA H200)`.

    Torch is asked only where it is loaded already: without it the processor did everything.
    """
    if "torch" not in sys.modules or wanted == "cpu":
        return "cpu"
    import torch

    try:
        device = usable_device(wanted)
    except NotPossible:  # nothing has needed it yet
        return "cpu"
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
