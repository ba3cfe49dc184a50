"""The options of `gainrag`. `config.toml` holds every default with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from uae_bench.encoder_source import PRESETS, locate_encoder
from uae_bench.weights import model_folder

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LAB = "lab:encoder"


class GainragOptions(BaseModel):
    """What labels are made of, and how the selector learns them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: NotNegative

    selector: Annotated[str, Field(min_length=1)]
    candidates: Annotated[int, Field(ge=2)]
    group: Annotated[int, Field(ge=2)]
    batch: Count
    epochs: Count
    evaluations: Count
    patience: Count
    min_gain: NotNegative
    learning_rate: Positive
    warmup: Annotated[float, Field(ge=0, le=1)]
    weight_decay: NotNegative
    max_length: Count
    precision: Literal["float32", "bfloat16"]


def selector_folder(spec: str) -> Path:
    """The folder of the model that the selector starts from: a cross-encoder's name or folder, or an encoder's
    (`minilm`, `lab:encoder`), which gets a new head.

    Raises:
        as `locate_encoder` and `uae_bench.weights.model_folder`.
    """
    if spec in PRESETS or spec.startswith("lab:"):
        return locate_encoder(spec).folder
    return model_folder(spec, offline=f"a selector that is here, {LAB}")
