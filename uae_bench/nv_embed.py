"""NV-Embed (Lee et al. 2024, arXiv 2405.17428): Mistral without its causal mask, pooled by attention to latent vectors.

Its authors publish it with code of their own, which never runs here; this is the same computation on transformers'
Mistral, for the weights as they are published.

    h   = Mistral states of  instruction + text + end token                      (L, D)
    o   = h + W_o softmax(Q K^T / sqrt(d)) V,   Q from LN(h), K and V from LN(latent vectors)
    o   = o + FF(LN(o)),   FF(x) = W_2 (a * gelu(b)) + b_2,   [a, b] = W_1 x + b_1
    e   = mean of o over the tokens behind the instruction
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from sentence_transformers.base.modules import InputModule
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.weights import read_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

HEADS = 8
"""Of the attention to latent vectors, where a configuration does not say: those of its authors' code."""
_STATES, _POOLING = "embedding_model.", "latent_attention_model."
_BLOCKS = (
    *(f"{norm}.{part}" for norm in ("0.norm", "0.norm_context", "1.norm") for part in ("weight", "bias")),
    *(f"0.fn.{linear}.weight" for linear in ("to_q", "to_kv", "to_out")),
    *(f"1.fn.net.{linear}.{part}" for linear in (0, 2) for part in ("weight", "bias")),
)
_PARAMETERS = ("latents", *(f"cross_attend_blocks.{name}" for name in _BLOCKS))


class LatentAttention(nn.Module):
    """Pools token states. Parameters bear the names under which they are published."""

    def __init__(self, weights: Mapping[str, Tensor], heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weights = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(each) for name, each in weights.items()})

    def forward(self, states: Tensor, pooled: Tensor) -> Tensor:
        """`states` (B, L, D) to vectors (B, D); `pooled` (B, L) marks the tokens that count."""
        of = self._of
        latents = self._normed(of("latents"), "0.norm_context")  # (R, D)
        queries = self._split(self._normed(states, "0.norm") @ of("0.fn.to_q.weight").T)
        keys, values = (self._split(each) for each in (latents @ of("0.fn.to_kv.weight").T).unsqueeze(0).chunk(2, -1))
        read = scaled_dot_product_attention(queries, keys, values)  # (B, heads, L, d)
        states = states + read.transpose(1, 2).flatten(2) @ of("0.fn.to_out.weight").T
        wide = self._normed(states, "1.norm") @ of("1.fn.net.0.weight").T + of("1.fn.net.0.bias")
        kept, gate = wide.chunk(2, -1)
        states = states + (kept * gelu(gate)) @ of("1.fn.net.2.weight").T + of("1.fn.net.2.bias")
        mask = pooled.unsqueeze(-1).to(states.dtype)
        vectors: Tensor = (states * mask).sum(1) / mask.sum(1)
        return vectors

    def _of(self, name: str) -> Tensor:
        place = name if name == "latents" else f"cross_attend_blocks.{name}"
        weight: Tensor = self.weights[place.replace(".", "/")]
        return weight

    def _normed(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._of(f"{name}.weight"), self._of(f"{name}.bias")
        return nn.functional.layer_norm(states, weight.shape, weight, bias)

    def _split(self, states: Tensor) -> Tensor:
        """(B, L, heads * d) as (B, heads, L, d)."""
        return states.view(*states.shape[:-1], self.heads, -1).transpose(1, 2)


class NvEmbed(InputModule):
    """Texts to vectors, as a module of sentence-transformers."""

    tokenizer: Any

    def __init__(self, auto_model: Any, tokenizer: Any, pooling: LatentAttention) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.auto_model = auto_model
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_seq_length = min(int(tokenizer.model_max_length), int(auto_model.config.max_position_embeddings))

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:
        """Tokens of prompt, text and end token; `pooled` leaves out as many first tokens as the prompt has."""
        texts = [f"{prompt or ''}{text}{self.tokenizer.eos_token}" for text in inputs]
        encoded = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_seq_length, return_tensors="pt"
        )
        pooled = encoded["attention_mask"].clone()
        pooled[:, : len(self.tokenizer.tokenize(prompt)) if prompt else 0] = 0
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "pooled": pooled}

    def forward(self, features: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        """`sentence_embedding` (B, D), not normalised."""
        asked = {name: features[name] for name in ("input_ids", "attention_mask")}
        states = self.auto_model(**asked, use_cache=False).last_hidden_state
        features["sentence_embedding"] = self.pooling(states, features["pooled"])
        return features

    def get_embedding_dimension(self) -> int:
        """D, the length of a vector."""
        return int(self.auto_model.config.hidden_size)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise NotPossible("NV-Embed is read here and not written", hint="train from another encoder")


def load(folder: Path, device: str) -> SentenceTransformer:
    """The model in a folder, in float32.

    Raises:
        ModelUnavailable: a weight is missing, or the tokenizer begins texts with no begin token.
    """
    from sentence_transformers import SentenceTransformer
    from transformers import MistralConfig, MistralModel, PreTrainedTokenizerFast

    class States(MistralModel):  # type: ignore[no-untyped-call]
        _keys_to_ignore_on_load_unexpected = [f"^{_POOLING}"]  # noqa: RUF012

    described = read_json(folder / "config.json")
    text, pooling = (described.get(part) for part in ("text_config", "latent_attention_config"))
    config = MistralConfig.from_dict({**text, "sliding_window": None} if isinstance(text, dict) else {})
    config.is_causal = False
    loaded: Any = States.from_pretrained(
        str(folder),
        config=config,
        key_mapping={f"^{_STATES}": ""},
        dtype=torch.float32,
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    states, told = loaded
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    if told["missing_keys"] or tokenizer("a")["input_ids"][0] != tokenizer.bos_token_id:
        lacking = sorted(told["missing_keys"])[:1] or ["a tokenizer that begins texts with its begin token"]
        raise ModelUnavailable(f"the NV-Embed in {folder} lacks {lacking[0]}", hint="copy its files again")
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "right"
    heads = pooling.get("num_cross_heads", HEADS) if isinstance(pooling, dict) else HEADS
    module = NvEmbed(states, tokenizer, LatentAttention(_pooling_weights(folder), int(heads)))
    return SentenceTransformer(modules=[module], device=device).eval()


def _pooling_weights(folder: Path) -> dict[str, Tensor]:
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as shard:
            named = [name for name in shard.keys() if name.startswith(_POOLING)]  # noqa: SIM118
            found.update({name.removeprefix(_POOLING): shard.get_tensor(name).float() for name in named})
    lacking = [name for name in _PARAMETERS if name not in found]
    if lacking:
        raise ModelUnavailable(f"the NV-Embed in {folder} lacks {_POOLING}{lacking[0]}", hint="copy its files again")
    return found
