"""Runs, values, labels, samples, states and generations as files for others: TREC, Parquet, safetensors, JSONL.

Equal content is equal bytes (with the same pyarrow): rows are sorted, and nothing depends on clock, host or path.
"""

from uae_bench.runs.states import count_states, read_states, write_states
from uae_bench.runs.tables import (
    read_asked,
    read_contrasts,
    read_entailments,
    read_generations,
    read_run,
    read_samples,
    read_utilities,
    read_values,
    values_digest,
    write_asked,
    write_contrasts,
    write_entailments,
    write_generations,
    write_run,
    write_samples,
    write_utilities,
    write_values,
)
from uae_bench.runs.trec import read_trec, write_trec

__all__ = [
    "count_states",
    "read_asked",
    "read_contrasts",
    "read_entailments",
    "read_generations",
    "read_run",
    "read_samples",
    "read_states",
    "read_trec",
    "read_utilities",
    "read_values",
    "values_digest",
    "write_asked",
    "write_contrasts",
    "write_entailments",
    "write_generations",
    "write_run",
    "write_samples",
    "write_states",
    "write_trec",
    "write_utilities",
    "write_values",
]
