"""The options of the room's trainers. `config.toml` holds every default with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from uae_bench.weights import model_folder

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
InnerShare = Annotated[float, Field(gt=0, lt=1)]


def reward_folder(spec: str) -> Path:
    """The folder of the reward model's base (`uae_bench.weights.model_folder`)."""
    return model_folder(spec, offline="a reward model that is here, lab:lfm2")


class StudentOptions(BaseModel):
    """What every trainer of the room reads: candidate sets and the student."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    positive: Literal["evidence", "best-utility"]
    negatives: Count
    tau: Positive

    mode: Literal["full", "lora", "adapter"]
    batch: Count
    epochs: Count
    evaluations: Count
    patience: Count
    min_gain: NotNegative
    warmup: Share
    weight_decay: NotNegative
    full_learning_rate: Positive
    lora_learning_rate: Positive
    adapter_learning_rate: Positive
    max_length: Count

    lora_rank: Count
    lora_alpha: Count
    lora_dropout: Annotated[float, Field(ge=0, lt=1)]
    lora_targets: Annotated[str, Field(min_length=1)]

    precision: Literal["float32", "bfloat16"]

    @property
    def with_further_evidence(self) -> bool:
        """Whether candidate sets hold the evidence besides d⁺."""
        return False


class RewardOptions(StudentOptions):
    """A reward model and the gate that reads it."""

    gate_margin: NotNegative

    reward_model: str
    reward_mode: Literal["full", "lora"]
    reward_margin: Positive
    reward_min_gap: NotNegative
    reward_group: Annotated[int, Field(ge=2)]
    reward_batch: Count
    reward_epochs: Count
    reward_evaluations: Count
    reward_keep: Literal["best", "last"]
    reward_patience: Count
    reward_full_learning_rate: Positive
    reward_lora_learning_rate: Positive
    reward_head_learning_rate: Positive
    reward_head_width: Count
    reward_head_dropout: Annotated[float, Field(ge=0, lt=1)]
    reward_warmup: Share
    reward_weight_decay: NotNegative
    reward_max_length: Count

    @property
    def reward_reader(self) -> str:
        """The language model on whose states the reward model is a head; "" where it is a fine-tuned encoder.

        A language model's name has a backend before a colon (`hf:…`, `lab:…`); a hub name has no colon, and a folder
        with one is told by its first character.
        """
        return self.reward_model if ":" in self.reward_model and self.reward_model[0] not in "./~" else ""


class SoftTeacher(StudentOptions):
    """A teacher whose distribution over a candidate set is a softmax of scores."""

    teacher_evidence: bool
    teacher_lambda: Positive | Literal["calibrated"]
    teacher_entropy: InnerShare

    @property
    def with_further_evidence(self) -> bool:
        return self.teacher_evidence


class UaeOptions(RewardOptions, SoftTeacher):
    """The options of `uae`: the reward model is gate and teacher."""


class DirectOptions(SoftTeacher):
    """The options of `uae-direct`: the utilities themselves are gate and teacher."""

    gate_utility_margin: NotNegative


class InfonceOptions(RewardOptions):
    """The options of `infonce`: the reward model is gate, and there is no teacher but the annotators."""

    label_evidence: bool

    @property
    def with_further_evidence(self) -> bool:
        return self.label_evidence
