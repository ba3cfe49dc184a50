"""What an encoder's probes measure."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.experiment import parts
from uae_bench.doctor import Finding
from uae_bench.doctor.encoder import probe_encoder
from uae_bench.encoder import BiEncoder


def failed(findings: list[Finding]) -> set[str]:
    return {one.probe for one in findings if one.verdict == "failed"}


@pytest.mark.parametrize("spec", ["lab:encoder", "tiny"])
def test_a_sound_encoder_passes_and_its_facts_are_told(spec: str) -> None:
    encoder = BiEncoder.load(str(parts.encoder()) if spec == "tiny" else spec)
    findings = probe_encoder(encoder)
    assert failed(findings) == set()
    told = {one.measured: one.value for one in findings if one.verdict == "told"}
    assert told["numbers of a vector"] == encoder.dimension
    assert told["tokens read of a text"] == encoder.max_length


class Endless(BiEncoder):
    """Says that it reads more than a probe can afford to exceed."""

    max_length = 32_768
    lengths: ClassVar[list[int]] = []

    def _encode(self, texts: Any, *given: Any) -> Any:
        self.lengths.extend(map(len, texts))
        return super()._encode(texts, *given)


def test_a_text_too_long_to_overrun_is_told_as_not_measured() -> None:
    encoder = Endless.load("lab:encoder")
    findings = probe_encoder(encoder)
    assert failed(findings) == set()
    assert 0 < max(Endless.lengths) < 1000
    (untold,) = [one for one in findings if math.isnan(one.value)]
    assert (untold.probe, untold.verdict) == ("truncation", "told")
    assert "not measured" in untold.note


class Crowded(BiEncoder):
    """A vector depends on how many are encoded with it."""

    def _encode(self, texts: Any, *given: Any) -> Any:
        vectors = super()._encode(texts, *given)
        return vectors + np.float32(1e-3 * (len(texts) > 4))


class Long(BiEncoder):
    """Vectors of length 2."""

    def _encode(self, texts: Any, *given: Any) -> Any:
        return 2 * super()._encode(texts, *given)


class Deaf(BiEncoder):
    """Counts no text as cut."""

    def truncated_passages(self, texts: Any) -> int:
        return 0


@pytest.mark.parametrize(("kind", "found"), [(Crowded, {"batch"}), (Long, {"norm"}), (Deaf, {"truncation"})])
def test_each_fault_is_found(kind: type[BiEncoder], found: set[str]) -> None:
    assert failed(probe_encoder(kind.load("lab:encoder"))) == found
