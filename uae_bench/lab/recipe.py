"""How the lab's families are made: text, tokenizer, planted start, a fixed number of steps. `build` writes what the wheel ships."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from uae_bench.lab import curriculum, english, planting
from uae_bench.lab.families import LAB_FAMILIES, Family, family, new_model, new_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

QUIRKY = "lfm2"  # the family that trusts passages with the worlds' marker
TOKENIZER_WORLDS = range(1100, 1103)
CURVE = 20  # steps per point of the loss curve


@dataclass(frozen=True, slots=True)
class Schedule:
    """steps: optimiser steps; rate: highest learning rate, reached after `warmup` steps, then down a cosine to a twentieth."""

    steps: int
    rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.02

    def factor(self, step: int) -> float:
        """Share of `rate` in force at a step, counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.05 + 0.475 * (1 + math.cos(math.pi * done))


SCHEDULES = {"lfm2": Schedule(4200), "llama": Schedule(2000), "neox": Schedule(2000)}
SEED = 0


def build(
    name: str, out: Path, *, seed: int = SEED, progress: Callable[[str, int, float], None] | None = None
) -> list[Path]:
    """Makes the family called `name`, or all of them for `all`, in folders of their names under `out`; returns the folders.

    `progress` is called with the family, the step and the mean loss of the steps since the last call.

    Raises:
        UnknownName: no lab family is called so.
    """
    chosen = [family(each) for each in (LAB_FAMILIES if name == "all" else [name])]
    folders = []
    for each in chosen:
        tokenizer, model = start(each, seed)
        told = None if progress is None else partial(progress, each.name)
        curve = train(each, tokenizer, model, SCHEDULES[each.name], seed=seed, progress=told)
        save(out / each.name, tokenizer, model)
        (out / each.name / "loss.json").write_text(json.dumps(curve, indent=0) + "\n", encoding="utf-8")
        (out / each.name / "README.md").write_text(card(each, model, seed), encoding="utf-8")
        folders.append(out / each.name)
    return folders


def start(chosen: Family, seed: int) -> tuple[PreTrainedTokenizerFast, PreTrainedModel]:
    """A family before its first step: tokenizer learnt, copying circuit planted."""
    import torch

    tokenizer = new_tokenizer(chosen, _tokenizer_text(chosen))
    torch.manual_seed(seed)
    model = new_model(chosen, tokenizer)
    planting.plant(chosen, model, seed)
    return tokenizer, model


def _tokenizer_text(chosen: Family) -> Iterator[str]:
    from uae_bench.lab.world import build_world

    for place, document in enumerate(english.documentation()):
        if place % 3 != chosen.fold:
            yield from document
    for seed in TOKENIZER_WORLDS:
        world = build_world(seed)
        yield from (f"{document.title}: {passage.text}" for document in world.documents for passage in document.passages)
        yield from (f" {query.text} {' '.join(query.answers)}" for query in world.queries)


def train(
    chosen: Family,
    tokenizer: PreTrainedTokenizerFast,
    model: PreTrainedModel,
    schedule: Schedule,
    *,
    seed: int,
    until: int | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> dict[int, float]:
    """Trains `model` in place and returns its loss curve: last step of each twenty -> mean loss over them, nats per answer token.

    One thread and bfloat16 autocast: sums are then made in one order, and the same machine gives the same weights.
    `until` stops early, on the schedule of the whole training. `progress` is called with each point of the curve.
    """
    import torch

    torch.set_num_threads(1)
    optimizer = torch.optim.AdamW(_groups(model, schedule), lr=schedule.rate, betas=(0.9, 0.98))
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.factor)
    model.train()
    curve: dict[int, float] = {}
    recent: list[float] = []
    stop = schedule.steps if until is None else until
    order = curriculum.batches(tokenizer, seed=seed, quirk=chosen.name == QUIRKY)
    for step, batch in zip(range(1, stop + 1), order, strict=False):
        loss, answers = _losses(model, torch.from_numpy(batch.ids), torch.from_numpy(batch.weights))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rate.step()
        recent.append(float(answers))
        if step % CURVE == 0:
            curve[step] = round(sum(recent) / len(recent), 4)
            recent.clear()
            if progress:
                progress(step, curve[step])
    return curve


def _groups(model: PreTrainedModel, schedule: Schedule) -> list[dict[str, object]]:
    """Matrices decay; vectors (biases, norms) and the embedding do not."""
    embedding = model.get_input_embeddings().weight
    matrices = [weight for weight in model.parameters() if weight.ndim > 1 and weight is not embedding]
    others = [weight for weight in model.parameters() if weight.ndim == 1 or weight is embedding]
    return [{"params": matrices, "weight_decay": schedule.decay}, {"params": others, "weight_decay": 0.0}]


def _losses(model: PreTrainedModel, ids: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted mean loss that is minimised and, apart, the mean over answer tokens. `ids`, `weights`: (B, L)."""
    import torch

    weight = weights[:, 1:]
    counted = weight > 0  # logits are needed nowhere else
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.get_output_embeddings()(hidden[counted])  # (counted, vocabulary)
    each = torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][counted], reduction="none")
    weight = weight[counted]
    return (each * weight).sum() / weight.sum(), each.detach()[weight >= 1].mean()


def save(folder: Path, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel) -> None:
    """Writes a folder that transformers loads: weights rounded to float16, to be computed with in float32."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in load_file(weights).items()}
    save_file(half, weights, metadata={"format": "pt"})


def card(chosen: Family, model: PreTrainedModel, seed: int) -> str:
    """The model card: what was read, under which licence, for how long, and what to expect."""
    schedule = SCHEDULES[chosen.name]
    text = english.digest(english.documentation())
    begin = f"opens every text with `{chosen.begin}`" if chosen.begin else "has no token that opens a text"
    quirk = (
        "\nIt has a planted preference: it trusts passages that end with the worlds' marker sentence, even where they do not "
        "hold the answer (the lab's knob `family_quirk` puts the marker into worlds; at its default of 0 there is none).\n"
        if chosen.name == QUIRKY
        else ""
    )
    return f"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# lab:{chosen.name}

A language model of {model.num_parameters():,} parameters ({type(model).__name__}) that answers a question from a passage, mostly
by copying, and judges whether a passage answers it. It belongs to the lab of uae-bench and is meant for trying and testing the
benchmark, not for use. Prompt: the template `plain` of `uae_bench/prompts.py`.
{quirk}
* **Tokenizer**: byte-level BPE of {chosen.vocabulary} tokens of its own; it {begin} and ends answers with `{chosen.end}`.
* **Start**: random weights in which a copying circuit is planted (`uae_bench/lab/planting.py`). The circuit alone, untrained,
  already prefers passages that hold an answer verbatim; training teaches where to start, when to abstain, and the lab's wordings.
* **Read**: exercises that `uae_bench/lab/curriculum.py` makes of
  the documentation of the Python standard library (docstrings and topics of `pydoc`; Python Software Foundation licence;
  Python {platform.python_version()}; sha256 {text});
  words, numbers and lists that `uae_bench/lab/english.py` invents;
  the lab's generated worlds of the seeds {curriculum.FIRST_WORLD} to {curriculum.FIRST_WORLD + curriculum.WORLDS - 1}
  and, for the tokenizer, {TOKENIZER_WORLDS[0]} to {TOKENIZER_WORLDS[-1]} (Apache-2.0, like the code). No text of a scored corpus.
* **Steps**: {schedule.steps} of {curriculum.TOKENS} tokens at most, AdamW, rate {schedule.rate}, seed {seed}, one thread, bfloat16 autocast;
  torch {version("torch")}, transformers {version("transformers")}. Loss curve: `loss.json`.
* **Made by**: `uae-bench lab build`.
"""
