"""`lab`: the embedded world and its models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uae_bench.cli.outcome import err, out
from uae_bench.cli.progress import TerminalProgress

app = typer.Typer(help="The embedded world: rebuild the weights that ship with it.", no_args_is_help=True)

EXAMPLES = """\
Examples:

uae-bench lab build --out weights

uae-bench lab build --only lfm2 --out weights
"""


@app.command(epilog=EXAMPLES)
def build(
    folder: Annotated[Path, typer.Option("--out", help="Folder that the weights are written to.")],
    only: Annotated[list[str] | None, typer.Option(help="A family, or 'encoder'; repeat. \\[default: all]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the recipe; 0 made the shipped weights.")] = 0,
) -> None:
    """Train the lab's language models and its encoder from nothing, as the shipped ones were: over two hours."""
    from uae_bench.lab.build import build_lab

    for name, made in build_lab(folder, only or (), seed, TerminalProgress(err, verbose=False)):
        out.print(f"{name}: {made}", highlight=False)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="lab")
