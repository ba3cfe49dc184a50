"""Rebuilds everything that ships in `weights/`: the language-model families and the encoder, from one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from uae_bench.errors import UnknownName
from uae_bench.lab.families import LAB_FAMILIES
from uae_bench.progress import Progress
from uae_bench.registry import nearest
from uae_bench.store import explained

ENCODER = "encoder"


def build_lab(out: Path, only: Sequence[str], seed: int, progress: Progress) -> Iterator[tuple[str, Path]]:
    """Each part with its folder below `out`, as it is finished; all of them where `only` is empty.

    Seed 0 is that of the shipped weights. One after the other they take two hours and a quarter on one core; several
    may be made side by side.

    Raises:
        UnknownName: `only` names no part. StoreError: a part's folder cannot be made; nothing is trained then.
    """
    parts = (*LAB_FAMILIES, ENCODER)
    for name in only:
        if name not in parts:
            raise UnknownName(f"the lab has no part {name!r}", hint=nearest(name, parts))
    chosen = tuple(dict.fromkeys(only)) or parts
    with explained(out):
        for name in chosen:
            (out / name).mkdir(parents=True, exist_ok=True)
    return _built(chosen, out, seed, progress)


def _built(parts: Sequence[str], out: Path, seed: int, progress: Progress) -> Iterator[tuple[str, Path]]:
    from transformers.utils import logging

    from uae_bench.lab import encoder_recipe, recipe

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for name in parts:
        if name == ENCODER:
            chosen = replace(encoder_recipe.DEFAULTS, seed=seed)
            encoder_recipe.build_encoder(out / name, chosen, progress=progress)
        else:
            recipe.build(name, out, seed=seed, progress=progress)
        yield name, out / name
