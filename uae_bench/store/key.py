"""What an artifact is made from: the whole of its identity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uae_bench.errors import BadInput
from uae_bench.store.digests import Json, digest_of

_STAGE = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True, slots=True)
class Key:
    """A stage with its version, its semantic configuration and the digests of what it reads.

    Whatever changes the output belongs in here; paths, progress and parallelism do not. `inputs` maps a role
    ("task", "run", "weights") to a content digest or a model identity.

    Raises:
        BadInput: a stage name that is not made of lower-case letters, digits and dashes (it names a folder).
    """

    stage: str
    version: int
    config: Mapping[str, Json]
    inputs: Mapping[str, str]

    def __post_init__(self) -> None:
        if not _STAGE.fullmatch(self.stage):
            raise BadInput(f"{self.stage!r} cannot name a stage", hint="lower-case letters, digits and dashes only")

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON of `to_json()`.

        Raises:
            BadInput: the configuration holds nan or something that JSON does not have.
        """
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Json]:
        """The key as JSON: stage, version, config, inputs."""
        return {
            "stage": self.stage,
            "version": self.version,
            "config": dict(self.config),
            "inputs": dict(self.inputs),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Key:
        """The key that `to_json` wrote.

        Raises:
            BadInput: other or missing fields.
        """
        match value:
            case {"stage": str(stage), "version": int(version), "config": dict(config), "inputs": dict(inputs)}:
                if len(value) == 4:
                    return cls(stage, version, config, inputs)
        raise BadInput(f"no key has the fields {sorted(value)}", hint="stage, version, config, inputs")


def differences(wanted: Key, stored: Key) -> list[str]:
    """What differs between two keys of one stage, one phrase each: "inputs.task changed a1b2c3d4→c3d4e5f6"."""
    ours, theirs = _leaves("", wanted.to_json()), _leaves("", stored.to_json())
    phrases = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            phrases.append(f"{name} is new ({_short(ours[name])})")
        elif name not in ours:
            phrases.append(f"{name} is gone (was {_short(theirs[name])})")
        elif digest_of(ours[name]) != digest_of(theirs[name]):
            phrases.append(f"{name} changed {_short(theirs[name])}→{_short(ours[name])}")
    return phrases


def _leaves(prefix: str, value: Json) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    leaves: dict[str, Json] = {}
    for name, item in value.items():
        leaves |= _leaves(f"{prefix}.{name}" if prefix else name, item)
    return leaves


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text[:8] if re.fullmatch(r"[0-9a-f]{32,}", text) else text if len(text) <= 40 else text[:37] + "…"
