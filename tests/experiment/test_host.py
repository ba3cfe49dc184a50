"""The machine that times are taken on: what of it makes another time."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch

from uae_bench.experiment import host as module
from uae_bench.experiment.host import accelerators, host
from uae_bench.experiment.models import used_device

NAMES = [b"NVIDIA H200", b"NVIDIA L4"]


class Driver:
    """A CUDA driver with two devices, called as C is; `broken` is what it answers to the start."""

    def __init__(self, broken: int = 0) -> None:
        self.broken = broken

    def cuInit(self, flags: int) -> int:
        return self.broken

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(NAMES)
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:
        name.value = NAMES[device.value]
        return 0


def shown(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(module, "accelerators", lambda: names)


def test_auto_is_the_processor_where_there_is_no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch)
    assert host("auto") == host("cpu")
    assert host("auto")["device"] == "cpu"


def test_another_accelerator_or_none_is_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = []
    for names in ((), ("NVIDIA H200",), ("NVIDIA L4",)):
        shown(monkeypatch, *names)
        hosts.append(dict(host("auto")))
    assert len({str(each) for each in hosts}) == 3
    assert hosts[1]["accelerators"] == "NVIDIA H200"
    assert host("cpu") == hosts[0]


def test_the_driver_names_its_devices_and_a_broken_one_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert accelerators.__wrapped__() == ("NVIDIA H200", "NVIDIA L4")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(broken=100))
    assert accelerators.__wrapped__() == ()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_driver_and_torch_name_the_same_devices() -> None:
    assert accelerators() == tuple(torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count()))


def test_what_was_used_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert used_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert used_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"name of {device}")
    assert used_device("auto") == "cuda (name of cuda)"
