"""How the lab's families are made: text, tokenizer, planted start, a fixed number of steps; `build` does it all."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uae_bench.lab import curriculum, english, planting
from uae_bench.lab.curriculum import Mixture
from uae_bench.lab.families import Family, family, new_model, new_tokenizer
from uae_bench.lab.threads import one_thread
from uae_bench.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

QUIRKY = "lfm2"  # the family that trusts passages with the worlds' marker
TOKENIZER_WORLDS = range(1100, 1103)
CURVE = 20  # steps per point of the loss curve


@dataclass(frozen=True, slots=True)
class Phase:
    """rate: the highest learning rate, reached after `warmup` steps; then down a cosine to a twentieth at `steps`."""

    steps: int
    mixture: Mixture
    rate: float
    warmup: int = 100
    decay: float = 0.02

    def factor(self, step: int) -> float:
        """Share of `rate` in force at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.05 + 0.475 * (1 + math.cos(math.pi * done))


LEARN = Mixture(world_share=0.7, evidence_share=0.75)
PRACTISE = Mixture(world_share=0.9, evidence_share=0.9)
RETRIEVE = Mixture(world_share=0.75, evidence_share=0.75, retrieval_share=0.7, longest=900)
PHASES = {
    "lfm2": (Phase(3600, LEARN, rate=2.5e-3), Phase(600, PRACTISE, rate=1.5e-3), Phase(1500, RETRIEVE, rate=1e-3)),
    "llama": (Phase(1660, LEARN, rate=2.5e-3), Phase(800, PRACTISE, rate=1.5e-3), Phase(1500, RETRIEVE, rate=1e-3)),
    "neox": (Phase(1660, LEARN, rate=2.5e-3), Phase(800, PRACTISE, rate=1.5e-3), Phase(1500, RETRIEVE, rate=1e-3)),
}
SEED = 0


def build(name: str, out: Path, *, seed: int = SEED, progress: Progress = SILENT) -> Path:
    """Makes the family called `name`; returns its folder, named after it, below `out`.

    Raises:
        UnknownName: no lab family is called so.
    """
    chosen, folder = family(name), out / name
    tokenizer, model = start(chosen, seed)
    curve: dict[int, float] = {}
    for number, phase in enumerate(PHASES[name]):
        train(chosen, tokenizer, model, phase, curve, seed=seed + number, progress=progress)
        round_to_half(model)
    save(folder, tokenizer, model)
    (folder / "loss.json").write_text(json.dumps(curve, indent=0) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(chosen, model, seed), encoding="utf-8")
    return folder


def start(chosen: Family, seed: int) -> tuple[Any, Any]:
    """A family before its first step: tokenizer learnt, copying circuit planted."""
    import torch

    tokenizer = new_tokenizer(chosen, _tokenizer_text(chosen))
    with torch.random.fork_rng():  # transformers draws initial weights from the global generator
        torch.manual_seed(seed)
        model = new_model(chosen, tokenizer)
    planting.plant(chosen, model, seed)
    return tokenizer, model


def _tokenizer_text(chosen: Family) -> Iterator[str]:
    for place, document in enumerate(english.documentation()):
        if place % 3 != chosen.fold:
            yield from document
    for seed in TOKENIZER_WORLDS:
        world = curriculum.training_world(seed)
        for told in world.documents:
            yield from (f"{told.title}: {passage.text}" for passage in told.passages)
        yield from (f" {query.text} {' '.join(query.answers)}" for query in world.queries)


def train(
    chosen: Family,
    tokenizer: Any,
    model: Any,
    phase: Phase,
    curve: dict[int, float],
    *,
    seed: int,
    until: int | None = None,
    progress: Progress = SILENT,
) -> None:
    """Trains `model` in place for a phase, with an optimiser of its own, and goes on with its loss curve.

    The curve maps the last step of each twenty, counted over all phases, to the mean loss in nats per answer token.
    One thread and float32: sums are then made in one order, and the same kind of processor gives the same weights; in
    bfloat16, which not every processor has instructions for, a step may take ten times as long.
    `until` stops early, on the learning rates of the whole phase.
    """
    import torch

    optimizer = torch.optim.AdamW(_groups(model, phase.decay), lr=phase.rate, betas=(0.9, 0.98))
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, phase.factor)
    model.train()
    before = max(curve, default=0)
    recent: list[float] = []
    stop = phase.steps if until is None else until
    order = curriculum.batches(tokenizer, phase.mixture, seed=seed, quirk=chosen.name == QUIRKY)
    with one_thread():
        steps = progress.track(range(1, stop + 1), total=stop, label=f"{chosen.name}, from step {before + 1}")
        for step, batch in zip(steps, order, strict=False):
            loss, answers = _losses(model, torch.from_numpy(batch.ids), torch.from_numpy(batch.weights))
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            rate.step()
            recent.append(float(answers))
            if step % CURVE == 0:
                curve[before + step] = round(sum(recent) / len(recent), 4)
                recent.clear()
    model.eval()


def round_to_half(model: Any) -> None:
    """Rounds the weights to float16, as they are stored; they stay float32 in memory."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half())


def _groups(model: Any, decay: float) -> list[dict[str, object]]:
    """Matrices decay; vectors (biases, norms) and the embedding do not."""
    embedding = model.get_input_embeddings().weight
    matrices = [weight for weight in model.parameters() if weight.ndim > 1 and weight is not embedding]
    others = [weight for weight in model.parameters() if weight.ndim == 1 or weight is embedding]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _losses(model: Any, ids: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted mean loss that is minimised and, apart, the mean over answer tokens. `ids`, `weights`: (B, L)."""
    import torch

    weight = weights[:, 1:]
    counted = weight > 0  # logits are needed nowhere else
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    logits = model.get_output_embeddings()(hidden[counted])  # (counted, vocabulary)
    each = torch.nn.functional.cross_entropy(logits, ids[:, 1:][counted], reduction="none")
    weight = weight[counted]
    return (each * weight).sum() / weight.sum(), each.detach()[weight >= 1].mean()


def save(folder: Path, tokenizer: Any, model: Any) -> None:
    """Writes a folder that transformers loads: weights rounded to float16, to be computed with in float32."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in load_file(weights).items()}
    save_file(half, weights, metadata={"format": "pt"})


def card(chosen: Family, model: Any, seed: int) -> str:
    """The model card: what was read, under which licence, for how long, and what to expect."""
    phases = ", then ".join(f"{phase.steps} at rate {phase.rate}" for phase in PHASES[chosen.name])
    text = english.digest(english.documentation())
    begin = f"opens every text with `{chosen.begin}`" if chosen.begin else "has no token that opens a text"
    quirk = (
        "\nIt has a planted preference: it trusts passages that end with the worlds' marker sentence, even where they\n"
        "do not hold the answer. The knob `family_quirk` puts the marker into worlds; at 0, its default, none has it.\n"
        if chosen.name == QUIRKY
        else ""
    )
    last_world = curriculum.FIRST_WORLD + curriculum.WORLDS - 1
    return f"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# lab:{chosen.name}

A language model of {model.num_parameters():,} parameters ({type(model).__name__}) that answers a question from
a passage, mostly by copying, judges whether a passage answers it, puts up to five passages in order, and writes a
passage that could answer. It belongs to the lab of uae-bench and is meant for trying and testing the benchmark, not for
use. Prompts: the templates `plain` of `uae_bench/prompts.py`.
{quirk}
* **Tokenizer**: byte-level BPE of {chosen.vocabulary} tokens of its own; it {begin} and ends answers
  with `{chosen.end}`.
* **Start**: random weights in which a copying circuit is planted (`uae_bench/lab/planting.py`). The circuit alone,
  untrained, already prefers passages that hold an answer word for word; training teaches where to start, when to
  abstain, and the lab's wordings.
* **Read**: exercises that `uae_bench/lab/curriculum.py` and, in the last steps, `retrieving.py` make of
  the documentation of the Python standard library (docstrings and topics of `pydoc`; Python Software Foundation
  licence; Python {platform.python_version()}; sha256 {text});
  words, numbers and lists that `uae_bench/lab/english.py` invents;
  the lab's generated worlds of the seeds {curriculum.FIRST_WORLD} to {last_world} and, for the tokenizer,
  {TOKENIZER_WORLDS[0]} to {TOKENIZER_WORLDS[-1]} (Apache-2.0, like the code). No text of a scored corpus;
  the lab's scored worlds have other seeds: sentences of the generator recur there, questions and answers do not.
* **Steps**: {phases}; of {curriculum.TOKENS} tokens at most, AdamW, seed {seed}, one thread,
  float32; torch {version("torch")}, transformers {version("transformers")}; losses: `loss.json`.
* **Made by**: `uae-bench lab build`.
"""
