"""Does one answer to a question entail another? Judged by a classifier of natural language inference, or by words."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from uae_bench.errors import ModelUnavailable
from uae_bench.lm.base import ENCODED_TOGETHER, Plan
from uae_bench.lm.folder import explained, load_whole
from uae_bench.lm.sharing import pack
from uae_bench.metrics.answer import normalise
from uae_bench.records import batches as consecutive
from uae_bench.seper.options import LEXICAL
from uae_bench.weights import identify_below, model_files, model_folder, read_json

Claim = tuple[str, str, str]
"""A question, an answer to it as premise, and an answer to it as hypothesis."""

OFFLINE = f"the same command with --set seper.entailment={LEXICAL}, which judges by shared words"
JUDGED_CELLS = 8_192
"""Tokens of a batch, padding included; bounds the memory."""
ENTAILMENT = "entailment"


class Judge(Protocol):
    """Who says how probable it is that a premise entails a hypothesis."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What its judgement depends on, for keys."""
        ...

    def plan(self, claims: Sequence[Claim]) -> Plan:
        """Deterministic batches over the whole set.

        What exceeds the judge's window is judged by its beginning: `computed` counts fewer tokens than `tokens`.
        """
        ...

    def judge_batch(self, claims: Sequence[Claim]) -> list[float]:
        """P(the premise entails the hypothesis) of each claim of one planned batch, in order."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


def judge_of(name: str, device: str = "cpu", make_room: Callable[[], None] = lambda: None) -> Judge:
    """The judge of a name: `lexical`, else a classifier by name, `name@revision` or folder. Nothing is loaded yet.

    `make_room` is called before weights are loaded.

    Raises:
        ModelUnavailable: it is not on this machine and cannot be fetched, or is no classifier of entailment.
        BadInput: its weights are no safetensors.
    """
    return LexicalJudge() if name == LEXICAL else Classifier(name, device, make_room)


class LexicalJudge:
    """An answer entails another if it holds all of its words: the other's tokens, normalised by QASPER's evaluator, are
    a sub-multiset of its own. No inference: it knows no paraphrase and no negation.

    An answer without a token entails nothing and is entailed by nothing.
    """

    identity: Mapping[str, str] = {"judge": LEXICAL, "version": "1"}

    def plan(self, claims: Sequence[Claim]) -> Plan:
        """All in one batch; it reads no tokens."""
        return Plan((tuple(sorted(range(len(claims)), key=claims.__getitem__)),) if claims else (), 0, 0)

    def judge_batch(self, claims: Sequence[Claim]) -> list[float]:
        """1 or 0 for each claim; the question plays no part."""
        tokens = {text: Counter(normalise(text).split()) for _, *texts in claims for text in texts}
        return [
            float(bool(tokens[hypothesis]) and tokens[hypothesis] <= tokens[premise])
            for _, premise, hypothesis in claims
        ]

    def close(self) -> None:
        return None


class Classifier:
    """A sequence classifier with a label `entailment`, read from safetensors in float32; remote code is never run.

    It reads each answer after the question: an answer of one word alone claims nothing.

    Tokenizer and weights are read when they are first needed.
    """

    def __init__(self, name: str, device: str, make_room: Callable[[], None]) -> None:
        self.name = name
        self.device = device
        self.make_room = make_room
        self.folder = model_folder(name, offline=OFFLINE)
        self.label = entailment_label(self.folder)

    @property
    def identity(self) -> Mapping[str, str]:
        """Its name as typed and the digest of weights, configuration and tokenizer."""
        return {"model": self.name, "files": identify_below(self.folder, model_files(self.folder))}

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        with explained(self.folder):
            return AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)

    @cached_property
    def limit(self) -> int | None:
        """The most tokens of a claim that it reads; None where neither tokenizer nor configuration says."""
        said = read_json(self.folder / "config.json").get("max_position_embeddings")
        told = [int(self.tokenizer.model_max_length)] + ([said] if isinstance(said, int) else [])
        known = [limit for limit in told if 0 < limit < 1_000_000]
        return min(known) if known else None

    @cached_property
    def network(self) -> Any:
        """The model, in eval mode on its device, every weight of it from the files."""
        self.make_room()
        otherwise = "a model that was not trained to classify cannot judge"
        network = load_whole("AutoModelForSequenceClassification", self.folder, "float32", otherwise)
        return network.to(self.device).eval()

    def plan(self, claims: Sequence[Claim]) -> Plan:
        """Batches of nearly one length."""
        whole = self._lengths(claims)
        read = [size if self.limit is None else min(size, self.limit) for size in whole]
        order = sorted(range(len(claims)), key=lambda index: (read[index], claims[index]))
        spans = pack([read[index] for index in order], JUDGED_CELLS, padded=True)
        batches = tuple(tuple(order[span.start : span.stop]) for span in spans)
        return Plan(batches, tokens=sum(whole), computed=sum(read))

    def judge_batch(self, claims: Sequence[Claim]) -> list[float]:
        """softmax over the labels, at `entailment`."""
        import torch

        inputs = self.tokenizer(
            *_spoken(claims),
            padding=True,
            truncation=self.limit is not None,
            max_length=self.limit,
            return_tensors="pt",
        ).to(self.device)
        with torch.inference_mode():
            logits = self.network(**inputs).logits  # (B, labels)
        return [float(value) for value in logits.double().softmax(dim=1)[:, self.label].cpu()]

    def close(self) -> None:
        self.__dict__.pop("network", None)
        gc.collect()

    def _lengths(self, claims: Sequence[Claim]) -> list[int]:
        """Tokens of each claim, however long."""
        lengths: list[int] = []
        for part in consecutive(len(claims), ENCODED_TOGETHER):
            encoded = self.tokenizer(*_spoken(claims[part.start : part.stop]), verbose=False)
            lengths += map(len, encoded["input_ids"])
        return lengths


def _spoken(claims: Sequence[Claim]) -> tuple[list[str], list[str]]:
    """Premises and hypotheses, each after its question."""
    premises = [f"{question} {premise}" for question, premise, _ in claims]
    return premises, [f"{question} {hypothesis}" for question, _, hypothesis in claims]


def entailment_label(folder: Path) -> int:
    """Which output of a classifier says `entailment`: its configuration names them, in whatever order.

    Raises:
        ModelUnavailable: no label, or more than one, is called so.
    """
    named = read_json(folder / "config.json").get("id2label")
    labels = {str(label): place for place, label in named.items()} if isinstance(named, dict) else {}
    found = [int(place) for label, place in labels.items() if label.lower() == ENTAILMENT]
    if len(found) != 1:
        raise ModelUnavailable(
            f"{folder} judges no entailment: its labels are {', '.join(labels) or 'not named'}",
            hint=f"take a classifier trained on MNLI whose config.json names a label {ENTAILMENT!r}",
        )
    return found[0]
