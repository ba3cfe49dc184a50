"""The options of a component, checked: whoever reads `--set`, `[settings]` or `config.toml` says the same of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from uae_bench.errors import BadInput, in_plain_words
from uae_bench.registry import nearest

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], owner: str, given: Mapping[str, object], defaults: Mapping[str, Any] | None = None) -> M:
    """`model` filled from `given`, and from `defaults` where nothing is given; `owner` names the component in messages.

    Raises:
        BadInput: an option that the component does not have, or a value that it cannot take.
    """
    for option in given:
        if option not in model.model_fields:
            raise BadInput(f"{owner} has no option {option!r}", hint=nearest(option, model.model_fields))
    try:
        return model.model_validate({**(defaults or {}), **given})
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]) if first["loc"] else "options"
        raise BadInput(
            f"{owner}.{option} = {first['input']!r}: {in_plain_words(first['msg'])}", hint=f"see uae-bench show {owner}"
        ) from error
