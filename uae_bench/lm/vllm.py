"""vLLM in this process: prompt log-probabilities from token ids, and generation. Batching inside a batch is vLLM's."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from uae_bench.errors import ModelUnavailable, NotPossible, UaeBenchError
from uae_bench.lm.base import Generated, Pair, Sampling, Tokens, chance_seed, cut_at_stop
from uae_bench.lm.folder import FolderModel
from uae_bench.lm.local import Dtype
from uae_bench.lm.resources import LmResources
from uae_bench.records import Likelihood

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # what is printed is the command line's business
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
# An engine of another process computes together whatever has arrived: the same batch would have other last digits.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

CPU_CACHE_GIB = 1.0
"""Memory for keys and values where nothing is said: left to itself, vLLM takes most of a machine's memory."""


class VllmModel(FolderModel):
    """A Scorer and a Generator. The engine starts when the first batch needs it, not before."""

    def __init__(self, folder: Path, dtype: Dtype, resources: LmResources, limit: int | None = None) -> None:
        super().__init__(folder, dtype, limit)
        self.resources = resources

    @cached_property
    def window(self) -> int:
        """One less than the model's: vLLM writes at least one token after whatever it reads."""
        return self.positions() - 1

    @cached_property
    def engine(self) -> Any:
        """The running engine.

        Raises:
            ModelUnavailable: vLLM does not know the model's class, or cannot read its files.
            NotPossible: the memory is too small.
        """
        import vllm
        from vllm.platforms import current_platform

        on_cpu = current_platform.is_cpu()
        gib = self.resources.cache_gib or (CPU_CACHE_GIB if on_cpu else None)
        with _explained(self.folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return vllm.LLM(
                str(self.folder),
                dtype=self.dtype,
                max_model_len=self.window + 1,
                tensor_parallel_size=self.resources.tensor_parallel,
                kv_cache_memory_bytes=None if gib is None else int(gib * 2**30),
                enable_prefix_caching=False,  # a batch must not depend on the ones before it
                enforce_eager=on_cpu,  # compiling takes longer than a laptop's run
                # its CPU kernel takes queries laid out by head (LFM2's) for more tokens: docs/decisions.md
                compilation_config={"custom_ops": ["-rotary_embedding"]} if on_cpu else None,
                load_format="safetensors",
                use_tqdm_on_load=False,
                trust_remote_code=False,
                seed=0,
            )

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """Summed log-probabilities (nats) of the ids from each pair's start on; one more token is written and left."""
        from vllm import SamplingParams

        encoded = self.encode(pairs)
        params = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        found = self._run([pair.ids for pair in encoded], [params] * len(encoded))
        likelihoods = []
        for pair, output in zip(encoded, found, strict=True):
            places = range(pair.start, len(pair.ids))
            logprob = sum(output.prompt_logprobs[at][int(pair.ids[at])].logprob for at in places)
            likelihoods.append(Likelihood(logprob, pair.scored))
        return likelihoods

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """One planned batch. A text that a stop text ends before anything is written is asked for again without it."""
        encoded = self.prompt_ids(prompts, sampling.max_tokens)
        first = self._write(encoded, sampling, stop=True)
        silent = [at for at, output in enumerate(first) if _stopped_early(output)]
        for at, output in zip(silent, self._write([encoded[at] for at in silent], sampling, stop=False), strict=True):
            first[at] = output
        return [_generated(len(ids), output.outputs[0], sampling) for ids, output in zip(encoded, first, strict=True)]

    def _write(self, encoded: Sequence[Tokens], sampling: Sampling, *, stop: bool) -> list[Any]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                seed=chance_seed(sampling.seed, ids),
                stop=list(sampling.stop) if stop else None,
            )
            for ids in encoded
        ]
        return self._run(encoded, params)

    def _run(self, encoded: Sequence[Tokens], params: Sequence[Any]) -> list[Any]:
        if not encoded:
            return []
        engine = self.engine
        with _explained(self.folder):
            prompts = [{"prompt_token_ids": ids.tolist()} for ids in encoded]
            return list(engine.generate(prompts, params, use_tqdm=False))


@contextmanager
def open_engine(folder: Path, dtype: Dtype, resources: LmResources, window: int | None) -> Iterator[VllmModel]:
    """A model whose engine and memory are given back on exit."""
    import torch

    set_num_threads = torch.set_num_threads
    model = VllmModel(folder, dtype, resources, window)
    try:
        yield model
    finally:
        engine = model.__dict__.pop("engine", None)
        if engine is not None:
            engine.llm_engine.engine_core.shutdown()
            del engine
        if "vllm.distributed" in sys.modules:  # an engine that could not start has left its weights as well
            sys.modules["vllm.distributed"].cleanup_dist_env_and_memory()
        torch.set_num_threads = set_num_threads  # on a CPU the engine puts one that does nothing in its place
        _give_back_classes()


def _give_back_classes() -> None:
    """Makes the classes of transformers what they were.

    What vLLM has no code of its own for (GPT-NeoX, say) it runs by transformers' class, which it rewrites for the whole
    process: without an engine, none of its models could be made again.
    """
    if "vllm.compilation.wrapper" not in sys.modules:
        return
    from transformers import PreTrainedModel

    wrapper = sys.modules["vllm.compilation.wrapper"].TorchCompileWithNoGuardsWrapper
    for rewritten in wrapper.__subclasses__():
        if not issubclass(rewritten, PreTrainedModel):
            continue
        init = rewritten.__init__
        rewritten.__init__ = init.__closure__[init.__code__.co_freevars.index("old_init")].cell_contents
        for name in ("__call__", "save_aot_compiled_function"):
            if name in vars(rewritten):
                delattr(rewritten, name)
        rewritten.__bases__ = tuple(base for base in rewritten.__bases__ if base is not wrapper)


def _stopped_early(output: Any) -> bool:
    written = output.outputs[0]
    return isinstance(written.stop_reason, str) and not written.text.strip()


def _generated(prompt_tokens: int, written: Any, sampling: Sampling) -> Generated:
    text, stopped = cut_at_stop(written.text, sampling.stop)
    ended = stopped or written.finish_reason == "stop"
    return Generated(text, prompt_tokens, len(written.token_ids), "stop" if ended else "length")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """What vLLM says when it cannot go on, with what to do."""
    try:
        yield
    except UaeBenchError:
        raise
    except Exception as error:  # the engine's own errors share no base class
        said = str(error).strip() or type(error).__name__
        if isinstance(error, MemoryError) or "memory" in said.lower():
            hint = "--lm-cache-gib sets what the engine has for keys and values; --set lm.window=1024 lets it read less"
            raise NotPossible(f"vLLM lacks memory for {folder}: {said}", hint=hint) from error
        hint = "hf: runs every class of transformers; VLLM_LOGGING_LEVEL=INFO shows what the engine did"
        raise ModelUnavailable(f"vLLM cannot run the model in {folder}: {said}", hint=hint) from error
