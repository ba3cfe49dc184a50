"""The lab's language-model families: three architectures, three tokenizers, small enough to train on two cores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uae_bench.errors import UnknownName
from uae_bench.registry import nearest

WIDTH = 192
LAYERS = 4
HEADS = 3
HEAD_WIDTH = 64
LONGEST = 2048  # positions; trained on 640, the rotary embedding goes on


@dataclass(frozen=True, slots=True)
class Family:
    """What tells one family from another.

    begin: the token that opens a text, None where none does. end: the one that closes an answer.
    digits: the longest run of digits in one token. fold: the third of the documents that its tokenizer does not see.
    """

    name: str
    vocabulary: int
    begin: str | None
    end: str
    digits: int
    fold: int


FAMILIES = {
    family.name: family
    for family in (
        Family("lfm2", vocabulary=2048, begin="<|begin|>", end="<|end|>", digits=3, fold=0),
        Family("llama", vocabulary=2304, begin="<s>", end="</s>", digits=1, fold=1),
        Family("neox", vocabulary=1792, begin=None, end="<|endoftext|>", digits=2, fold=2),
    )
}
LAB_FAMILIES = tuple(FAMILIES)


def family(name: str) -> Family:
    """The family called `name`.

    Raises:
        UnknownName: no lab family is called so.
    """
    if name not in FAMILIES:
        raise UnknownName(f"no lab family is called {name!r}", hint=nearest(name, LAB_FAMILIES))
    return FAMILIES[name]


def weights_folder(name: str) -> Path:
    """The folder of a family's shipped weights, in the layout of transformers.

    Raises:
        UnknownName: no lab family is called so.
    """
    return Path(__file__).parent / "weights" / family(name).name


def new_tokenizer(family: Family, texts: Iterable[str]) -> Any:
    """A byte-level BPE learnt from `texts`; it opens texts with the family's begin token, if any, and closes none."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = [token for token in (family.begin, family.end) if token]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(rf"\d{{1,{family.digits}}}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=family.vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if family.begin:
        opening = (family.begin, tokenizer.token_to_id(family.begin))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{family.begin} $A", special_tokens=[opening])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=family.begin,
        eos_token=family.end,
        pad_token=family.end,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def new_model(family: Family, tokenizer: Any) -> Any:
    """The family's architecture with its library's own random weights."""
    from transformers import AutoModelForCausalLM

    config = _config(family, tokenizer)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")  # type: ignore[no-untyped-call]


def _config(family: Family, tokenizer: Any) -> Any:
    from transformers import GPTNeoXConfig, Lfm2Config, LlamaConfig

    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": LONGEST,
        "initializer_range": 0.04,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "dtype": "float32",
    }
    slow_rotation: dict[str, Any] = {
        "rope_theta": 1e8,
        "rope_type": "default",
    }  # 40 of 64 dimensions turn by < 0.5 rad over 500 tokens
    if family.name == "lfm2":
        older_names: dict[str, Any] = {"conv_dim": WIDTH, "block_dim": WIDTH}  # vLLM reads the widths under these
        return Lfm2Config(
            **shared,
            **older_names,
            intermediate_size=2 * WIDTH,
            num_key_value_heads=HEADS,
            layer_types=["conv", "full_attention"] * (LAYERS // 2),
            conv_L_cache=3,
            conv_bias=False,
            block_auto_adjust_ff_dim=False,
            rope_parameters=slow_rotation,
        )
    if family.name == "llama":
        return LlamaConfig(
            **shared,
            intermediate_size=2 * WIDTH,
            num_key_value_heads=HEADS,
            head_dim=HEAD_WIDTH,
            attention_bias=True,
            rope_parameters=slow_rotation,
        )
    return GPTNeoXConfig(
        **shared,
        intermediate_size=3 * WIDTH,
        attention_bias=True,
        use_parallel_residual=True,
        rope_parameters={"rope_theta": 1e4, "rope_type": "default", "partial_rotary_factor": 0.25},
    )
