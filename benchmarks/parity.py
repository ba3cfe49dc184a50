"""Whether transformers, vLLM in this process and vLLM's server are one model: docs/parity.md.

    make test-vllm                                                # it makes the environment
    .venv-vllm/bin/python -m benchmarks.parity [--queries 12]     # in the repository's root

Every query of the lab's test split is paired with every passage of its document, the first reference answer as
continuation; passages are ordered by its likelihood. Printed are, per family and backend, the largest difference of a
pair's mean log-likelihood from transformers' (nats per token), Kendall's tau between the two orders of a query's
passages (mean and least), how many of the texts written after the first passages are equal, and the seconds, the
engine's start included. Ends with 1 if a difference reaches 1e-3, a mean tau falls below 0.99, or a text differs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.table import Table

from tests.vllm.parity import FAMILIES, ask, compare, hear
from tests.vllm.served import Served
from uae_bench.cli.outcome import out

COLUMNS = ("family", "backend", "largest difference", "tau, mean", "tau, least", "equal texts", "seconds")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=12)
    asked = ask(parser.parse_args().queries)
    table = Table(title=f"{len(asked.rows)} queries, {len(asked.pairs)} pairs, float32; reference: transformers")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in COLUMNS[:2] else "right")
    holds = True
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            server = Served(family, Path(folder, f"{family}.log"))
            server.start()
            try:
                reference = hear(f"lab:{family}", asked)
                inside = hear(f"vllm:lab:{family}", asked)
                server.wait()
                for backend, found in (("vLLM, in process", inside), ("vLLM, server", hear(server.spec, asked))):
                    parity = compare(reference, found, asked)
                    holds &= parity.holds
                    taus = f"{parity.tau:.4f}", f"{min(parity.taus):.4f}"
                    texts = f"{parity.equal}/{len(asked.rows)}"
                    table.add_row(family, backend, f"{parity.apart:.1e}", *taus, texts, f"{found.seconds:.1f}")
            finally:
                server.kill()
    out.print(table)
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
