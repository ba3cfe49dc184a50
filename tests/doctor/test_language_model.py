"""A sound model passes every probe; each fault is found by the probe that is named for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doctor import broken
from tests.lm.conftest import new_tokenizer
from tests.lm.serving import NAME, serving
from uae_bench.doctor import Finding, largest, require_passed
from uae_bench.doctor.language_model import NOISE, noise, probe_length, probe_scoring, probe_writing
from uae_bench.errors import CheckFailed
from uae_bench.lm.connection import Connection
from uae_bench.lm.hf import HfModel
from uae_bench.lm.resources import LmResources
from uae_bench.lm.server import ServerModel
from uae_bench.lm.spec import parse_lm
from uae_bench.lm.tokenizer import HfTokenizer

LIMIT = NOISE["float32"]


def failed(findings: list[Finding]) -> set[str]:
    return {one.probe for one in findings if one.verdict == "failed"}


def whole(model: HfModel | ServerModel) -> list[Finding]:
    return [*probe_scoring(model, LIMIT), *probe_length(model), *probe_writing(model, exact=True)]


@pytest.mark.parametrize(("begin", "chat"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("kind", ["llama", "lfm2"])
def test_a_sound_model_passes_every_probe_and_nothing_is_left_unmeasured(
    folder: Callable[..., Path], kind: str, begin: bool, chat: bool
) -> None:
    findings = whole(HfModel(folder(kind, begin=begin, chat=chat), "cpu", "float32"))
    assert {one.verdict for one in findings} == {"passed"}, [one for one in findings if one.verdict != "passed"]
    assert all(one.limit is not None for one in findings)


def test_so_does_a_sound_server(folder: Callable[..., Path]) -> None:
    for chat in (False, True):
        with serving(HfModel(folder("llama", chat=chat), "cpu", "float32")) as server:
            findings = whole(ServerModel(Connection(NAME, server.url, LmResources(timeout=5)), None))
            assert {one.verdict for one in findings} == {"passed"}, [one for one in findings if one.verdict != "passed"]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (broken.Lonely, {"batch"}),
        (broken.Ordered, {"order", "batch", "chain rule"}),  # company is an order too
        (broken.Drifting, {"repeat", "order", "batch"}),
        (broken.Late, {"boundary", "chain rule"}),
        (broken.Forgetful, {"chain rule"}),
        (broken.Shortening, {"truncation"}),
        (broken.Numb, {"likelihood", "repeat", "order", "batch", "chain rule"}),
        (broken.Sociable, {"text batch"}),
        (broken.Padded, {"prompt tokens"}),
    ],
)
def test_each_fault_is_found_by_its_own_probe(
    folder: Callable[..., Path], kind: type[HfModel], found: set[str]
) -> None:
    assert failed(whole(kind(folder("llama"), "cpu", "float32"))) == found


def doubled(path: Path) -> Path:
    """A folder whose chat template opens with the begin token twice."""
    (path / "chat_template.jinja").write_text("{{ bos_token }}" + (path / "chat_template.jinja").read_text())
    return path


def test_a_template_that_brings_the_begin_token_twice_is_found(new_model: Callable[..., Path]) -> None:
    model = HfModel(doubled(new_model("llama", chat=True)), "cpu", "float32")
    findings = probe_scoring(model, LIMIT)
    assert failed(findings) == {"begin"}
    (begin,) = (one for one in findings if one.probe == "begin")
    assert (begin.value, begin.unit, begin.note) == (6, "of 6", "it stands 2 times")


def test_a_tokenizer_that_opens_texts_twice_is_healed(new_model: Callable[..., Path]) -> None:
    from tokenizers import processors

    tokenizer = new_tokenizer(begin=True)
    twice = processors.TemplateProcessing(single="<s> <s> $A", special_tokens=[("<s>", 0)])
    tokenizer.backend_tokenizer.post_processor = twice
    path = new_model("llama")
    tokenizer.save_pretrained(path)
    assert HfTokenizer.load(path).inner("a").input_ids[:2] == [0, 0]
    assert failed(probe_scoring(HfModel(path, "cpu", "float32"), LIMIT)) == set()


def test_an_opening_that_is_no_begin_token_must_not_be_doubled_either(new_model: Callable[..., Path]) -> None:
    path = new_model("llama", begin=False, chat=True)  # plain texts are opened by nothing, turns by <s>
    assert failed(probe_scoring(HfModel(path, "cpu", "float32"), LIMIT)) == set()
    assert failed(probe_scoring(HfModel(doubled(path), "cpu", "float32"), LIMIT)) == {"begin"}


def test_a_server_that_only_writes_is_probed_by_its_texts(folder: Callable[..., Path]) -> None:
    limits = LmResources(timeout=5)
    with serving(HfModel(folder("llama", chat=True), "cpu", "float32"), plain=True) as server:
        assert not parse_lm(f"openai:{NAME}@{server.url}").scores
        findings = probe_writing(ServerModel(Connection(NAME, server.url, limits), 256), exact=True)
    assert [one.verdict for one in findings] == ["passed"] * 3 + ["told"]
    assert "tells no tokens" in findings[-1].note


def test_rounding_is_allowed_for_where_it_is_known_or_must_be_feared() -> None:
    assert noise({"weights": "x", "dtype": "float32"}) == NOISE["float32"]
    assert noise({"weights": "x", "dtype": "bfloat16"}) == NOISE["bfloat16"]
    assert noise({"server": "x", "dtype": "float32"}) == NOISE["bfloat16"]  # what a server computes in, nobody knows


def test_bfloat16_passes_within_its_rounding(folder: Callable[..., Path]) -> None:
    model = HfModel(folder("llama"), "cpu", "bfloat16")
    assert failed([*probe_scoring(model, NOISE["bfloat16"]), *probe_writing(model, exact=False)]) == set()


def test_a_verdict_is_the_limits() -> None:
    assert Finding("p", "m", 1.0, "u", 1.0).verdict == "passed"
    assert Finding("p", "m", 1.1, "u", 1.0).verdict == "failed"
    assert Finding("p", "m", math.nan, "u", 1.0).verdict == "failed"
    assert Finding("p", "m", math.nan, "u").verdict == "told"
    assert math.isnan(largest([0.0, math.nan, 1.0])) and largest([0.0, 2.0, 1.0]) == 2.0


def test_a_failure_says_what_was_measured() -> None:
    require_passed([Finding("order", "change", 0.0, "nats", 0.1)], "hf:x", "see doctor")
    with pytest.raises(
        CheckFailed, match=r"hf:x fails order, batch: change: 0\.5 nats, at most 0\.1 is sound"
    ) as caught:
        found = [Finding("order", "change", 0.5, "nats", 0.1), Finding("batch", "change", 0.5, "nats", 0.1)]
        require_passed(found, "hf:x", "see doctor")
    assert caught.value.hint == "see doctor"
