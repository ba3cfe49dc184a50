"""Models of published shapes with random weights: speed does not read weights."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import LlamaConfig

WORDS_OF_A_QUERY, WORDS_OF_A_PASSAGE = 12, 100
TOKENS_PER_WORD = 1.3
"""What BERT's and Llama's vocabularies make of English text, about."""


LLAMA_8B = LlamaConfig(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
    max_position_embeddings=8192,
    rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
    tie_word_embeddings=False,
    bos_token_id=None,
    eos_token_id=None,
)
LLAMA_300M = LlamaConfig(
    vocab_size=128_256,
    hidden_size=1024,
    intermediate_size=2816,
    num_hidden_layers=16,
    num_attention_heads=16,
    num_key_value_heads=8,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
)
TINY_LLAMA = LlamaConfig(
    vocab_size=512,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=8192,
    bos_token_id=None,
    eos_token_id=None,
)


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """A BERT by its width, layers, heads and inner width."""

    name: str
    width: int
    layers: int
    heads: int
    inner: int


MINILM = EncoderShape("MiniLM-L6", 384, 6, 12, 1536)
BERT_BASE = EncoderShape("BERT-base", 768, 12, 12, 3072)
TINY_BERT = EncoderShape("tiny BERT", 32, 2, 2, 64)


def new_encoder(shape: EncoderShape, device: str, dtype: str = "float32") -> Any:
    """A sentence-transformers bi-encoder: tokenizer, BERT, mean, unit length."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(97, 123)]
    pieces = [*marks, *letters, *(f"##{letter}" for letter in letters), *VOCABULARY]
    core = Tokenizer(models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=512, pad_token="[PAD]", unk_token="[UNK]"
    )
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        reader = Transformer(folder, max_seq_length=512, model_kwargs={"dtype": getattr(torch, dtype)})
        modules = [reader, Pooling(shape.width, "mean"), Normalize()]
        return SentenceTransformer(modules=modules, device=device).eval()


SYLLABLES = tuple(first + second for first in "bdfgklmnprstv" for second in ("a", "e", "i", "or", "un"))
VOCABULARY = tuple(one + other for one in SYLLABLES for other in SYLLABLES)
"""Words of one token each."""


def new_texts(count: int, words: int, rng: np.random.Generator) -> list[str]:
    """Texts with as many tokens as English ones of so many words have: three words in ten are of two tokens."""
    drawn = rng.choice(VOCABULARY, size=(count, words))
    long = rng.random((count, words)) < TOKENS_PER_WORD - 1
    texts = []
    for row, longer in zip(drawn.tolist(), long.tolist(), strict=True):
        texts.append(" ".join(f"{word}s" if more else word for word, more in zip(row, longer, strict=True)))
    return texts
