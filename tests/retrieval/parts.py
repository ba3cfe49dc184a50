"""Small corpora, views over them, and a tiny encoder of the true classes with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from uae_bench.records import Passage, Query, RetrievalView
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Component, Resources

TEXTS = {
    "p3": "The harbour of Vell was dug in 1804 by Ana Torv and her crew.",
    "p1": "Steam engines of the second kind need soft water.",
    "p2": "Nobody lives on the island of Orm in winter.",
    "p5": "The lighthouse burns oil. The lighthouse keeper counts ships.",
    "p4": "Café Zürich serves 漢字 soup 🍜 to naïve engineers.",
}
QUESTIONS = {"q1": "who dug the harbour?", "q2": "lighthouse keeper", "q3": "engines in winter"}


def view(
    texts: Mapping[str, str] = TEXTS,
    questions: Mapping[str, str] = QUESTIONS,
    pools: Mapping[str, tuple[str, ...]] | None = None,
) -> RetrievalView:
    """A view over passages and queries given as id -> text."""
    passages = tuple(Passage(name, text, "", "d") for name, text in texts.items())
    return RetrievalView(passages, tuple(Query(name, text, None) for name, text in questions.items()), pools)


def build(name: str, argument: str = "", **settings: Any) -> Any:
    """A built component of the table with these settings."""
    component: Component = RETRIEVERS[name]
    return component.build(argument, component.config(**settings), Resources())


@lru_cache(maxsize=1)
def tiny_encoder() -> Path:
    """A sentence-transformers folder: a BERT of width 16 with seeded random weights, words as tokens, 32 positions."""
    return save_tiny_encoder(Path(mkdtemp(prefix="tiny-encoder-")))


def save_tiny_encoder(folder: Path, words: Sequence[str] = tuple(" ".join(TEXTS.values()).lower().split())) -> Path:
    """Write such a folder anew."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    save_tiny_bert(folder, "BertModel", words)
    reader = Transformer(str(folder), max_seq_length=32)
    SentenceTransformer(modules=[reader, Pooling(16, "mean")], device="cpu").save(str(folder))
    return folder


@lru_cache(maxsize=1)
def tiny_colbert() -> Path:
    """A late-interaction folder on the same transformer: 8 dimensions a token, queries filled up to 12 tokens."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    folder = save_tiny_bert(Path(mkdtemp(prefix="tiny-colbert-")), "BertModel")
    expansion = {"strategy": "fixed", "attend": False, "length": 12}
    reader = Transformer(str(folder), max_seq_length=32, document_length=20, query_expansion=expansion)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = Dense(16, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    modules = [reader, head, MultiVectorMask(skiplist_words=["."]), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save(str(folder))
    return folder


@lru_cache(maxsize=1)
def tiny_splade() -> Path:
    """A masked language model of the same shape, as SPLADE models are published: no list of modules."""
    return save_tiny_bert(Path(mkdtemp(prefix="tiny-splade-")), "BertForMaskedLM")


def tiny_model(name: str) -> str:
    """The argument of a component that takes one: a tiny model of the kind that it wants."""
    made = {"colbert": tiny_colbert, "splade": tiny_splade}
    return str(made.get(name, tiny_encoder)())


def save_tiny_bert(
    folder: Path, kind: str, words: Sequence[str] = tuple(" ".join(TEXTS.values()).lower().split())
) -> Path:
    """Write such a transformer, of a class of transformers, with its tokenizer."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, PreTrainedTokenizerFast

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(97, 123)]
    pieces = dict.fromkeys([*marks, *letters, *(f"##{letter}" for letter in letters), *words])
    core = Tokenizer(models.WordPiece({piece: row for row, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", marks.index("[SEP]")), ("[CLS]", marks.index("[CLS]")))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        model_max_length=32,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    shape = BertConfig(
        vocab_size=len(pieces),
        max_position_embeddings=32,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
