"""Folders of true transformers classes with random weights and small byte-level tokenizers trained here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from uae_bench.lm.hf import HfModel
from uae_bench.records import Passage

TEXT = [
    "Passage: The harbour of Vell was dug in 1804 by Ana Torv and her crew.\nQuestion: Who dug it?\nAnswer: Ana",
    "Passage: Steam engines of the second kind need soft water.\nQuestion: Which water is needed?\nAnswer: soft water",
    "Passage: Nobody lives on the island of Orm in winter.\nQuestion: Is Orm inhabited in winter?\nAnswer: No",
]
SUBJECTS = ("harbour", "engine", "island", "library", "bridge")
SENTENCES = [f"The {subject} of Vell was built in {1800 + number}." for number, subject in enumerate(SUBJECTS)]
PASSAGES = [
    Passage(f"p{number}", " ".join([sentence] * (1 + number % 3)), "", "d") for number, sentence in enumerate(SENTENCES)
]
QUERIES = ("Who built it?", "When was the engine of Vell built?", "Is the island large, and who lives on it in winter?")
ANSWERS = ("1804", "Ana Torv and her crew", "No")
CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
KINDS = ("llama", "gpt_neox", "lfm2", "gpt2")


def new_tokenizer(*, begin: bool, chat: bool = False, vocabulary: int = 400) -> Any:
    """A byte-level BPE with `<s>` (opening every text if `begin`) and `</s>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    wrapper: Any = PreTrainedTokenizerFast
    return wrapper(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=256,
        chat_template=CHAT if chat else None,
    )


def new_config(kind: str, vocabulary: int) -> Any:
    """Two or four narrow layers of the named class."""
    from transformers import GPT2Config, GPTNeoXConfig, Lfm2Config, LlamaConfig

    shared: dict[str, Any] = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.2}
    narrow: dict[str, Any] = {**shared, "hidden_size": 32, "num_attention_heads": 4, "max_position_embeddings": 256}
    match kind:
        case "llama":
            return LlamaConfig(**narrow, num_hidden_layers=2, intermediate_size=48, num_key_value_heads=2)
        case "gpt_neox":
            return GPTNeoXConfig(**narrow, num_hidden_layers=2, intermediate_size=48)
        case "lfm2":
            layers = ["conv", "full_attention", "conv", "full_attention"]
            return Lfm2Config(
                **narrow,
                num_hidden_layers=4,
                num_key_value_heads=2,
                intermediate_size=48,
                layer_types=layers,
                conv_L_cache=3,
            )
        case "gpt2":
            return GPT2Config(**shared, n_embd=32, n_head=4, n_layer=2, n_positions=256)
    raise AssertionError(kind)


def new_folder(folder: Path, kind: str, *, begin: bool = True, chat: bool = False) -> Path:
    """A whole model folder, as transformers writes it."""
    from transformers import AutoModelForCausalLM

    tokenizer = new_tokenizer(begin=begin, chat=chat)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    classes: Any = AutoModelForCausalLM
    classes.from_config(new_config(kind, len(tokenizer))).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`folder("llama", chat=True)`: a model folder, made once."""
    made: dict[str, Path] = {}

    def give(kind: str, *, begin: bool = True, chat: bool = False) -> Path:
        name = f"{kind}-{begin}-{chat}"
        if name not in made:
            made[name] = new_folder(tmp_path_factory.mktemp(name), kind, begin=begin, chat=chat)
        return made[name]

    return give


@pytest.fixture(scope="session", params=KINDS)
def model(request: pytest.FixtureRequest, folder: Callable[..., Path]) -> HfModel:
    """One model of each class; GPT-NeoX and GPT-2 open texts without a begin token, as the originals do."""
    kind = request.param
    return HfModel(folder(kind, begin=kind in ("llama", "lfm2")), "cpu", "float32")


@pytest.fixture(scope="session")
def llama(folder: Callable[..., Path]) -> HfModel:
    return HfModel(folder("llama"), "cpu", "float32")
