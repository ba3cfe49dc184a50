"""A process that has the heavy libraries loaded and forks a `uae-bench` whenever it is asked to.

A line is JSON: arguments, the file for both streams and the most bytes that any file may get (0: no limit), answered by
the child's process id; or such an id, answered by its exit code once it has ended (negative: the signal that ended it).
A fork can be killed like any other process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uae_bench.store import CallCache, Json

LEDGER = "ledger"
"""Beside the calls of a store: the digest of each batch that was computed, one a line, as it was finished."""


def serve() -> None:
    """Answer until the input ends."""
    import bm25s  # noqa: F401
    import pandas  # noqa: F401
    import sentence_transformers  # noqa: F401
    import torch

    import uae_bench.experiment
    import uae_bench.lm.hf
    import uae_bench.systems.uae.train  # noqa: F401

    torch.set_num_threads(1)  # no thread may have been started before the fork
    say("ready")
    for line in sys.stdin:
        match json.loads(line):
            case int(child):
                _, status = os.waitpid(child, 0)
                say(str(os.waitstatus_to_exitcode(status)))
            case [arguments, log, int(limit)]:
                child = os.fork()
                if not child:
                    become(arguments, log, limit)
                say(str(child))


def become(arguments: list[str], log: str, limit: int) -> None:
    """Turn the forked process into `uae-bench ARGUMENTS`, its streams in a file."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would ignore it
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    from uae_bench.cli import main
    from uae_bench.store import CallCache

    put = CallCache.put

    def noted(cache: CallCache, digest: str, model: str, results: Sequence[Json]) -> None:
        """A batch that was computed and is finished, in a file that nothing else reads."""
        put(cache, digest, model, results)
        with cache.path.with_name(LEDGER).open("a") as ledger:
            ledger.write(f"{digest}\n")

    CallCache.put = noted  # type: ignore[method-assign, assignment]
    sys.argv = ["uae-bench", *arguments]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(ended.code or 0))
    os._exit(0)


def say(line: str) -> None:
    """One line to whoever listens, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
