"""`python -m uae_bench` is `uae-bench`."""

from uae_bench.cli import main

main()
