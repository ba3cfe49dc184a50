"""`cache` and `export`: what was computed, kept and shared."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from uae_bench.cli import arguments as arg
from uae_bench.cli import completion
from uae_bench.cli.outcome import out
from uae_bench.cli.tables import counted, print_rows
from uae_bench.errors import UnknownName, UsageError
from uae_bench.stages import STAGES
from uae_bench.store import Store

cache = typer.Typer(help="The store: what is kept, why it hits or misses, and how to free space.", no_args_is_help=True)

Digest = Annotated[str, typer.Argument(help="A key's digest, or its beginning, as `cache ls` shows it.")]
SECONDS_PER_DAY = 86_400
MEBIBYTE = 2**20


@cache.command(epilog="Example:\n\nuae-bench cache ls --store .uae-bench")
def ls(store: arg.StoreFolder = arg.DEFAULT_STORE, as_json: arg.AsJson = False) -> None:
    """Every artifact: stage, what it was made as, key, size, last use, and whether it is whole."""
    entries = Store(store).entries()
    if as_json:
        rows = [
            {"stage": one.stage, "label": one.label, "key": one.digest, "bytes": one.bytes, "fault": one.fault}
            for one in entries
        ]
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    print_rows(
        out,
        f"{counted(len(entries), 'artifact')}, {sum(one.bytes for one in entries) / MEBIBYTE:.1f} MiB in {store}",
        ("stage", "made as", "key", "KiB", "last used", "state"),
        [
            [
                one.stage,
                one.label,
                one.digest[:12],
                f"{one.bytes / 1024:,.0f}",
                _when(one.last_used),
                one.fault or "whole",
            ]
            for one in entries
        ],
    )


@cache.command(epilog="Example:\n\nuae-bench cache why 3fa9c1")
def why(digest: Digest, store: arg.StoreFolder = arg.DEFAULT_STORE) -> None:
    """What one artifact's key holds: every option and input that it depends on. For what is missing, see `plan`."""
    found = Store(store).entry(digest)
    out.print_json(data={"label": found.label, "key": found.key, "fault": found.fault})


@cache.command(epilog="Examples:\n\nuae-bench cache gc\n\nuae-bench cache gc --days 30 --keep 20000")
def gc(
    days: Annotated[float | None, typer.Option(help="Also what was not used for so many days.")] = None,
    keep: Annotated[float | None, typer.Option(help="Also the least recently used beyond so many MiB.")] = None,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
) -> None:
    """Remove unfinished, torn and altered artifacts, and on request old ones."""
    for option, value in (("--days", days), ("--keep", keep)):
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{option} {value:g} is no amount", hint="a number from 0 on")
    report = Store(store).gc(
        older_than=None if days is None else days * SECONDS_PER_DAY,
        max_bytes=None if keep is None else round(keep * MEBIBYTE),
    )
    for name, reason in report.removed:
        out.print(f"removed {name}: {reason}", highlight=False, markup=False)
    out.print(f"{report.bytes / MEBIBYTE:.1f} MiB freed", highlight=False)


def export(
    archive: Annotated[Path, typer.Argument(help="The archive to write (.tar).")],
    stage: Annotated[
        list[str] | None,
        typer.Option(help="Only these stages, e.g. utility; repeat.", autocompletion=completion.stage_names),
    ] = None,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
) -> None:
    """Pack artifacts into one archive that another machine can import, verified by hash."""
    unknown = next((name for name in stage or () if name not in STAGES), None)
    if unknown is not None:
        raise UnknownName(f"no stage is called {unknown!r}", hint=f"the stages: {', '.join(STAGES)}")
    kept = Store(store)
    chosen = [one.digest for one in kept.entries() if not one.fault and (not stage or one.stage in stage)]
    if not chosen:
        raise UsageError(f"nothing to export in {store}", hint="uae-bench cache ls shows what there is")
    kept.export(chosen, archive)
    out.print(f"{counted(len(chosen), 'artifact')} in {archive}", highlight=False, soft_wrap=True)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def add_to(parent: typer.Typer) -> None:
    """Register the group and the command."""
    parent.add_typer(cache, name="cache")
    parent.command(epilog="Example:\n\nuae-bench export labels.tar --stage utility")(export)
