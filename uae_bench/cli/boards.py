"""`leaderboard`: results that are published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uae_bench.cli.outcome import out

app = typer.Typer(help="Leaderboards: promote results, render them as Markdown, check them.", no_args_is_help=True)

Boards = Annotated[Path, typer.Option("--boards", help="Folder of the leaderboards.")]
DEFAULT_BOARDS = Path("leaderboards")

EXAMPLES = """\
Example:

uae-bench leaderboard add runs/lab/*/*

uae-bench leaderboard render
"""


@app.command(epilog=EXAMPLES)
def add(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `run` wrote, or folders above them.")],
    boards: Boards = DEFAULT_BOARDS,
) -> None:
    """Promote whole results; partial ones are refused."""
    from uae_bench.leaderboard import add_results

    for path in add_results(folders, boards):
        out.print(f"added {path}", highlight=False, soft_wrap=True)


@app.command(epilog="Example:\n\nuae-bench leaderboard render")
def render(boards: Boards = DEFAULT_BOARDS) -> None:
    """Write one Markdown page per task from the records."""
    from uae_bench.leaderboard import render_boards

    for path in render_boards(boards):
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command(epilog="Example:\n\nuae-bench leaderboard check")
def check(boards: Boards = DEFAULT_BOARDS) -> None:
    """Recompute every mean from its per-query values and compare the pages. Exits 3 if anything differs."""
    from uae_bench.leaderboard import check_boards

    checked = check_boards(boards)
    out.print(f"{checked} records and their pages agree with the per-query values", highlight=False)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="leaderboard")
