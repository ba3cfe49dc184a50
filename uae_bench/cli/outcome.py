"""Where output goes, and how an error becomes a message and an exit code."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from uae_bench.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_UNREAD, DataUnavailable, StoreError, UaeBenchError

DISK_ERRORS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST, errno.ENAMETOOLONG,
})  # fmt: skip
"""What a disk may answer whatever we do. That a file is missing is not among them: who opens one has to know."""

PLAIN_WIDTH = 200
"""Columns of plain output, which goes to files and other programs: no cell is folded to fit a screen."""


class Output(Console):
    """A console that ends the program quietly where nobody reads it any more (`| head`)."""

    def on_broken_pipe(self) -> NoReturn:
        raise SystemExit(unread())


def open_closed_streams() -> None:
    """Lead the streams that the caller closed nowhere.

    Their descriptors are taken: else a file that is opened later would get one of them, and what libraries print there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def console(*, stderr: bool) -> Console:
    """A console as wide as the terminal, or as COLUMNS says; wide where there is neither. A `:name:` is no emoji."""
    stream = sys.stderr if stderr else sys.stdout
    told = stream.isatty() or "COLUMNS" in os.environ
    return Output(stderr=stderr, emoji=False, width=None if told else PLAIN_WIDTH)


open_closed_streams()
out = console(stderr=False)
err = console(stderr=True)


def show_error(error: UaeBenchError) -> None:
    """What happened and what to do, on stderr, in two lines that wrap only on a terminal."""
    err.print(f"[bold red]error[/] {_plain(str(error))}", soft_wrap=True, highlight=False)
    if error.hint:
        err.print(f"[bold]  fix[/] {_plain(error.hint)}", soft_wrap=True, highlight=False)
    if error.offline:
        again = offline_command(sys.argv[1:], error)
        err.print(f"[bold]  run[/] {_plain(again)}", soft_wrap=True, highlight=False)


def offline_command(arguments: Sequence[str], error: UaeBenchError) -> str:
    """The command with the fields of `error.offline` in place of its own, on its own data if that could be read; how
    servers and engines are run is left out, since the lab's models are neither.
    """
    from uae_bench.cli.arguments import OPTIONS, options_of
    from uae_bench.lm.resources import RESOURCE_OPTIONS

    replaced = {"--config", *RESOURCE_OPTIONS, *(spelling for spellings in OPTIONS.values() for spelling in spellings)}
    if isinstance(error, DataUnavailable):
        replaced |= {"--data", "--train-data"}
    kept: list[str] = []
    left = iter(arguments)
    for argument in left:
        name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]  # --task=lab, -tlab
        if name not in replaced:
            kept.append(argument)
        elif name == argument:
            next(left, None)
    return shlex.join(["uae-bench", *kept, *options_of(error.offline)])


def _plain(text: str) -> str:
    """Text with its square brackets kept: they are not markup."""
    return text.replace("[", r"\[")


class Commands(TyperGroup):
    """The root of all commands: expected errors and interrupts end here, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError as error:
            raise typer.Exit(unread()) from error
        except UaeBenchError as error:
            show_error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(report_interrupt()) from interrupt
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            show_error(_disk(error))
            raise typer.Exit(StoreError.exit_code) from error


def _disk(error: OSError) -> StoreError:
    where = error.filename or "the output folder"
    return StoreError(
        f"cannot read or write {where}: {error.strerror}",
        hint="free some space (uae-bench cache gc), or name another place",
    )


def unread() -> int:
    """The exit code where nobody reads the output any more, as of a program that SIGPIPE ends; the rest is lost."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_UNREAD


def report_interrupt() -> int:
    """How to go on after Ctrl-C."""
    again = shlex.join(["uae-bench", *sys.argv[1:]])
    err.print("\n[bold]interrupted[/]: what was finished is kept; the same command goes on from there:")
    err.print(f"  {_plain(again)}", soft_wrap=True, highlight=False)
    return EXIT_INTERRUPTED


def report_bug(error: Exception) -> int:
    """Anything unexpected is our bug: the traceback is for the report, the exit code is 70."""
    err.print_exception(show_locals=False)
    err.print(f"[bold red]bug[/] {type(error).__name__}: this should not happen, whatever the input was.")
    err.print("[bold]  fix[/] please report it with the lines above; finished work is kept.")
    return EXIT_BUG
