"""What `--set seper.…` may set."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Agreement = Literal["either", "mean", "both"]

MNLI = "microsoft/deberta-v2-xlarge-mnli"
LEXICAL = "lexical"


class SeperOptions(BaseModel):
    """How answers are sampled and judged. Every field changes results and enters a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(default=10, ge=1, description="answers that are sampled after each passage, and after none")
    temperature: float = Field(default=1.0, gt=0, description="at which they are sampled")
    seed: int = Field(default=0, ge=0, description="of the samples")
    entailment: str = Field(
        default=MNLI, description=f"who judges: an MNLI classifier's name or folder, or {LEXICAL}: by shared words"
    )
    agreement: Agreement = Field(
        default="either",
        description="entailment of answer and reference in both directions as one number: the greater, mean or smaller",
    )
