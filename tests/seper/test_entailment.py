"""Judges of entailment: by words, by hand; by classifiers of the true classes with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from uae_bench.errors import BadInput, ModelUnavailable
from uae_bench.seper.entailment import Claim, Classifier, entailment_label, judge_of

QUESTION = "Who built the harbour of Vell?"
CLAIMS: list[Claim] = [
    (QUESTION, "Ana Torv and her crew", "Ana Torv"),
    (QUESTION, "Ana Torv", "Ana Torv and her crew"),
    (QUESTION, "nobody knows who it was, in those days", "1804"),
    ("When?", "1804", "in the year 1804"),
]
WORDS = ("who", "built", "the", "harbour", "of", "vell", "ana", "torv", "and", "her", "crew", "1804", "when", "in")
LABELS = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")


def new_classifier(folder: Path, kind: str, order: tuple[str, ...] = LABELS, positions: int = 32) -> Path:
    """A classifier of three labels with random weights."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        DebertaV2Config,
        DebertaV2ForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate((*special, *WORDS))}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    wrapper: Any = PreTrainedTokenizerFast
    wrapped = wrapper(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=positions)
    wrapped.save_pretrained(folder)
    config_class: Any = {"bert": BertConfig, "deberta-v2": DebertaV2Config}[kind]
    model_class: Any = {"bert": BertForSequenceClassification, "deberta-v2": DebertaV2ForSequenceClassification}[kind]
    narrow: dict[str, Any] = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]} if kind != "bert" else {}
    config = config_class(
        vocab_size=len(special) + len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=positions, initializer_range=0.5, num_labels=3,
        id2label=dict(enumerate(order)), label2id={name: at for at, name in enumerate(order)}, **narrow,
    )  # fmt: skip
    torch.manual_seed(1)
    model_class(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["bert", "deberta-v2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_classifier(tmp_path_factory.mktemp(request.param), request.param)


def judged(judge: Any, claims: list[Claim]) -> list[float]:
    made: dict[int, float] = {}
    for batch in judge.plan(claims).batches:
        made.update(zip(batch, judge.judge_batch([claims[index] for index in batch]), strict=True))
    return [made[index] for index in range(len(claims))]


@pytest.mark.parametrize(
    ("premise", "hypothesis", "expected"),
    [
        ("Ana Torv and her crew", "ana torv", 1),
        ("Ana Torv", "Ana Torv and her crew", 0),
        ("The harbour!", "a harbour", 1),  # no case, no punctuation, no articles
        ("no", "no no", 0),  # as often as it stands there
        ("no, no", "no", 1),
        ("the", "harbour", 0),
        ("harbour", "the", 0),  # an answer without a word is entailed by nothing
        ("", "", 0),
    ],
)
def test_by_words_an_answer_entails_what_its_own_words_say(premise: str, hypothesis: str, expected: int) -> None:
    assert judged(judge_of("lexical"), [("the harbour, is it old?", premise, hypothesis)]) == [expected]


def test_a_classifier_gives_the_probability_of_its_label_entailment(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    found = judged(judge_of(str(folder)), CLAIMS)
    for (question, premise, hypothesis), probability in zip(CLAIMS, found, strict=True):
        inputs = tokenizer(f"{question} {premise}", f"{question} {hypothesis}", return_tensors="pt")
        with torch.no_grad():
            alone = model(**inputs).logits[0].softmax(dim=0)[2]
        assert probability == pytest.approx(float(alone), abs=1e-5)
    assert len({round(probability, 4) for probability in found}) == len(CLAIMS)


def test_the_order_of_labels_is_read_from_the_configuration(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    turned = tmp_path / "turned"
    shutil.copytree(folder, turned)
    config = json.loads((turned / "config.json").read_text())
    order = (2, 0, 1)  # entailment first
    config["id2label"] = {str(at): LABELS[label].lower() for at, label in enumerate(order)}
    (turned / "config.json").write_text(json.dumps(config))
    weights = load_file(turned / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][list(order)].contiguous()
    save_file(weights, turned / "model.safetensors", metadata={"format": "pt"})
    assert entailment_label(turned) == 0
    assert judged(judge_of(str(turned)), CLAIMS) == pytest.approx(judged(judge_of(str(folder)), CLAIMS), abs=1e-6)


@pytest.mark.parametrize("labels", [("LABEL_0", "LABEL_1", "LABEL_2"), ("entailment", "Entailment", "x")])
def test_a_classifier_that_names_no_such_label_is_refused(tmp_path: Path, labels: tuple[str, ...]) -> None:
    new_classifier(tmp_path, "bert", labels)
    with pytest.raises(ModelUnavailable, match="judges no entailment"):
        judge_of(str(tmp_path))


def test_a_binary_classifier_s_not_entailment_is_another_label(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "not_entailment", "1": "entailment"}}))
    assert entailment_label(tmp_path) == 1


def test_an_encoder_without_a_classifier_is_refused_when_it_is_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(new_classifier(tmp_path, "bert") / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="lack 2 of the model's tensors"):
        judged(judge_of(str(tmp_path)), CLAIMS)


def test_batches_do_not_depend_on_the_order_and_what_is_too_long_is_counted(folder: Path) -> None:
    judge = judge_of(str(folder))
    long = (QUESTION, "harbour " * 40, "1804")
    claims = [*CLAIMS, long]
    plan, backwards = judge.plan(claims), judge.plan(claims[::-1])
    assert [[claims[index] for index in batch] for batch in plan.batches] == [
        [claims[::-1][index] for index in batch] for batch in backwards.batches
    ]
    # the question is 7 words with its mark, the answers 40 and 1, and three signs frame them: 58 tokens of which 32 fit
    assert plan.tokens - plan.computed == (7 + 40) + (7 + 1) + 3 - 32
    assert len(judged(judge, claims)) == 5


def test_room_is_made_before_weights_are_read_and_memory_given_back(folder: Path) -> None:
    told: list[str] = []
    judge = judge_of(str(folder), "cpu", lambda: told.append("room"))
    judge.plan(CLAIMS)
    assert told == []
    judge.judge_batch(CLAIMS)
    judge.judge_batch(CLAIMS)
    assert told == ["room"]
    judge.close()
    assert isinstance(judge, Classifier)
    assert "network" not in judge.__dict__


def test_a_classifier_is_known_by_its_weights_and_pickles_are_refused(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    assert judge_of(str(copied)).identity["files"] == judge_of(str(folder)).identity["files"]
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(BadInput, match="a pickle"):
        judge_of(str(copied))
    with pytest.raises(ModelUnavailable, match="no such folder"):
        judge_of("./nowhere")
