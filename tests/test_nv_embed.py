"""NV-Embed on tiny random weights under the published names, against the same computation written out."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.retrieval.parts import build, view
from uae_bench.encoder import BiEncoder
from uae_bench.encoder_source import require_trainable
from uae_bench.errors import ModelUnavailable, NotPossible

WIDTH, LATENTS, HEADS, PER_HEAD = 16, 5, 2, 12
WORDS = ("Instruct:", "Query:", "who", "dug", "the", "harbour", "steam", "engines", "need", "water")
PREFIX = "Instruct: who Query: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_nv_embed(tmp_path_factory.mktemp("nv-embed"))


def save_tiny_nv_embed(place: Path) -> Path:
    """What the Hub holds but for the code: configuration, shards, tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MistralConfig, MistralModel, PreTrainedTokenizerFast

    config = MistralConfig(
        vocab_size=32, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, sliding_window=3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mistral: Any = MistralModel
        states = {f"embedding_model.{name}": each.numpy() for name, each in mistral(config).state_dict().items()}
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray[Any, Any]:
        return np.asarray(rng.normal(size=shape), dtype=np.float32) / 3

    blocks = {
        "0.norm.weight": draw(WIDTH), "0.norm.bias": draw(WIDTH),
        "0.norm_context.weight": draw(WIDTH), "0.norm_context.bias": draw(WIDTH),
        "0.fn.to_q.weight": draw(HEADS * PER_HEAD, WIDTH), "0.fn.to_kv.weight": draw(2 * HEADS * PER_HEAD, WIDTH),
        "0.fn.to_out.weight": draw(WIDTH, HEADS * PER_HEAD), "1.norm.weight": draw(WIDTH), "1.norm.bias": draw(WIDTH),
        "1.fn.net.0.weight": draw(8 * WIDTH, WIDTH), "1.fn.net.0.bias": draw(8 * WIDTH),
        "1.fn.net.2.weight": draw(WIDTH, 4 * WIDTH), "1.fn.net.2.bias": draw(WIDTH),
    }  # fmt: skip
    pooling = {f"latent_attention_model.cross_attend_blocks.{name}": each for name, each in blocks.items()}
    pooling["latent_attention_model.latents"] = draw(LATENTS, WIDTH)
    shards = {"model-00001-of-00002.safetensors": states, "model-00002-of-00002.safetensors": pooling}
    for name, tensors in shards.items():
        save_file(tensors, place / name, metadata={"format": "pt"})
    names = {tensor: shard for shard, tensors in shards.items() for tensor in tensors}
    (place / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    described = {
        "model_type": "nvembed",
        "architectures": ["NVEmbedModel"],
        "auto_map": {"AutoModel": "modeling_nvembed.NVEmbedModel"},
        "text_config": {**config.to_dict(), "model_type": "bidir_mistral"},
        "latent_attention_config": {"model_type": "latent_attention", "num_cross_heads": HEADS},
    }
    (place / "config.json").write_text(json.dumps(described))
    vocabulary = {word: row for row, word in enumerate(("<unk>", "<s>", "</s>", *WORDS))}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(place)
    return place


def written_out(folder: Path, text: str, prefix: str) -> np.ndarray[Any, Any]:
    """The unit vector of one text: Mistral with an explicit mask of zeros, then the pooling in numpy."""
    from transformers import MistralConfig, MistralModel

    described = json.loads((folder / "config.json").read_text())["text_config"]
    config = MistralConfig.from_dict({**described, "model_type": "mistral", "sliding_window": None})
    config._attn_implementation = "eager"
    mistral: Any = MistralModel
    model = mistral(config).eval()
    states = load_file(folder / "model-00001-of-00002.safetensors")
    model.load_state_dict({name.removeprefix("embedding_model."): torch.tensor(each) for name, each in states.items()})
    of = {
        name.split("model.", 1)[1]: each.astype(float)
        for name, each in load_file(folder / "model-00002-of-00002.safetensors").items()
    }
    words = ["<s>", *(prefix + text).split(), "</s>"]
    known = ("<unk>", "<s>", "</s>", *WORDS)
    ids = [known.index(word) if word in known else 0 for word in words]
    with torch.no_grad():
        everyone = torch.zeros(1, 1, len(ids), len(ids))
        hidden = model(torch.tensor([ids]), attention_mask=everyone).last_hidden_state[0].double().numpy()

    def block(name: str) -> np.ndarray[Any, Any]:
        return of[f"cross_attend_blocks.{name}"]

    def normed(x: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
        spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        centred = (x - x.mean(axis=-1, keepdims=True)) / spread
        return np.asarray(centred * block(f"{name}.weight") + block(f"{name}.bias"))

    queries = normed(hidden, "0.norm") @ block("0.fn.to_q.weight").T
    keys_values = normed(of["latents"], "0.norm_context") @ block("0.fn.to_kv.weight").T
    keys, values = keys_values[:, : HEADS * PER_HEAD], keys_values[:, HEADS * PER_HEAD :]
    read = []
    for head in range(HEADS):
        own = slice(head * PER_HEAD, (head + 1) * PER_HEAD)
        weights = np.exp(queries[:, own] @ keys[:, own].T / math.sqrt(PER_HEAD))
        read.append(weights / weights.sum(axis=1, keepdims=True) @ values[:, own])
    out = hidden + np.concatenate(read, axis=1) @ block("0.fn.to_out.weight").T
    wide = normed(out, "1.norm") @ block("1.fn.net.0.weight").T + block("1.fn.net.0.bias")
    kept, gate = wide[:, : 4 * WIDTH], wide[:, 4 * WIDTH :]
    gelu = gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
    out = out + (kept * gelu) @ block("1.fn.net.2.weight").T + block("1.fn.net.2.bias")
    vector = out[len(prefix.split()) :].mean(axis=0)  # as many first tokens as the instruction has do not count
    return np.asarray(vector / np.linalg.norm(vector))


def test_vectors_are_those_of_the_paper_written_out(folder: Path) -> None:
    encoder = BiEncoder.load(str(folder), query_prefix=PREFIX)
    texts = ["who dug the harbour", "steam engines need water water water", "steam"]  # padded to the longest
    asked, said = encoder.encode_queries(texts), encoder.encode_passages(texts)
    for row, text in enumerate(texts):
        assert asked[row] == pytest.approx(written_out(folder, text, PREFIX), abs=2e-5)
        assert said[row] == pytest.approx(written_out(folder, text, ""), abs=2e-5)
        alone = encoder.encode_passages([text])  # without padding there is no mask, and still no causal one
        assert alone[0] == pytest.approx(said[row], abs=2e-5)


def test_it_retrieves_and_says_what_it_did_not_read(folder: Path) -> None:
    retriever = build("dense", str(folder), query_prefix=PREFIX, max_length=6)
    searcher = retriever.prepare(view())
    assert len(retriever.retrieve(view(), depth=5).rankings["q1"].passages) == 5
    assert searcher.facts(searcher.encode(view().queries), depth=5)["passages_truncated"] == 5


def test_it_is_not_trained(folder: Path) -> None:
    with pytest.raises(NotPossible, match="not trained"):
        require_trainable(str(folder))


@pytest.mark.parametrize("shard", ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
def test_a_weight_that_is_missing_is_named(folder: Path, tmp_path: Path, shard: str) -> None:
    torn = shutil.copytree(folder, tmp_path / "torn")
    weights = load_file(torn / shard)
    lost = next(name for name in sorted(weights) if name.endswith(("latents", "norm.weight")))
    save_file({name: each for name, each in weights.items() if name != lost}, torn / shard, metadata={"format": "pt"})
    listing = json.loads((torn / "model.safetensors.index.json").read_text())
    del listing["weight_map"][lost]
    (torn / "model.safetensors.index.json").write_text(json.dumps(listing))
    with pytest.raises(ModelUnavailable, match="lacks"):
        BiEncoder.load(str(torn)).encode_passages(["steam"])
