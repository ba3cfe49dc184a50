"""Language models: two protocols (`base`), specs (`spec`), backends by name, and model families (`families`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uae_bench.registry import Registry

if TYPE_CHECKING:
    from uae_bench.lm.local import Backend

LMS: Registry[Backend] = Registry(
    "lm",
    {
        "hf": "uae_bench.lm.local:HF",
        "lab": "uae_bench.lm.local:OF_THE_LAB",
        "openai": "uae_bench.lm.server:OPENAI",
        "vllm": "uae_bench.lm.local:VLLM",
    },
)
