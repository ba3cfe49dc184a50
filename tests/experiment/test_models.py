"""Devices and the one language model in memory."""

from __future__ import annotations

import pytest
import torch

from tests.experiment import parts
from uae_bench.errors import NotPossible, UsageError
from uae_bench.experiment.models import Models, require_device, usable_device
from uae_bench.lm.resources import LmResources
from uae_bench.lm.spec import parse_lm


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:13"])
def test_a_device_is_spelled_as_torch_spells_it(name: str) -> None:
    require_device(name)


@pytest.mark.parametrize("name", ["", "tpu", "CPU", "cuda:", "cuda:x", "cpu:0 "])
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no device is called"):
        require_device(name)


def test_a_device_that_is_not_here_is_refused_when_it_is_needed() -> None:
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(NotPossible, match=absent):
        usable_device(absent)
    assert usable_device("cpu") == "cpu"
    assert usable_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_one_model_is_open_at_a_time_and_stays_open_while_it_is_asked_for() -> None:
    llama, neox = (parse_lm(f"hf:{parts.language_model(kind)}") for kind in ("llama", "gpt_neox"))
    with Models(LmResources()) as models:
        first = models.get(llama)
        assert models.get(llama) is first
        second = models.get(neox)
        assert second is not first
        assert models.get(llama) is not first


def test_models_that_take_turns_stay_open_beside_one_another() -> None:
    specs = [parse_lm(f"hf:{parts.language_model(kind)}") for kind in ("llama", "gpt_neox")]
    with Models(LmResources()) as models:
        models.keep_several()
        opened = [models.get(spec) for spec in specs]
        assert all(models.get(spec) is one for spec, one in zip(specs, opened, strict=True))
