"""The command line: arguments in, exit code out. Nothing else in the package prints."""

from __future__ import annotations

import sys

from uae_bench.errors import EXIT_INTERRUPTED


def main() -> None:
    """Run the command line and exit. What takes time is imported within: an interrupt ends in words from the start."""
    try:
        from uae_bench.cli.commands import app
        from uae_bench.cli.outcome import report_bug, report_interrupt
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted before anything was begun\n")
        sys.exit(EXIT_INTERRUPTED)
    try:
        app(prog_name="uae-bench")
    except KeyboardInterrupt:
        sys.exit(report_interrupt())
    except Exception as error:
        sys.exit(report_bug(error))
