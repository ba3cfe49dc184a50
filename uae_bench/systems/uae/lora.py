"""LoRA by peft, put into a transformer for training and folded into its weights after it: the product needs no peft."""

from __future__ import annotations

from typing import Any

from uae_bench.errors import BadInput
from uae_bench.systems.uae.config import StudentOptions


def inject(transformer: Any, options: StudentOptions) -> None:
    """Freezes the transformer's backbone and adds low-rank matrices to its target layers; a task head stays trainable.

    Raises:
        BadInput: no layer has one of the names in `lora_targets`.
    """
    from peft import LoraConfig

    targets = options.lora_targets
    prefix = f"{transformer.base_model_prefix}." if transformer.base_model is not transformer else ""
    try:
        transformer.add_adapter(
            LoraConfig(
                r=options.lora_rank, lora_alpha=options.lora_alpha, lora_dropout=options.lora_dropout,
                target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
            )
        )  # fmt: skip
    except ValueError as error:
        raise BadInput(f"lora_targets = {targets!r}: {error}", hint="'all-linear' suits every transformer") from error
    for name, parameter in transformer.named_parameters():
        head = prefix and not name.startswith(prefix)
        parameter.requires_grad_(bool("lora_" in name or head))


def fold(transformer: Any) -> None:
    """Adds the low-rank products to the weights they stand beside and removes them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(transformer.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(transformer.get_submodule(parent), child, module.get_base_layer())
    transformer._hf_peft_config_loaded = False
    del transformer.peft_config
