"""Embeddings made elsewhere: read from files, checked, and ranked by exact inner product."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uae_bench.errors import BadInput
from uae_bench.records import RetrievalView, Run
from uae_bench.retrieval.ranking import Candidates
from uae_bench.retrieval.search import Found, build_index, nearest_rows, rank_pools

_FORMATS = ".npy, .npz, .safetensors or .parquet"


@dataclass(frozen=True, slots=True)
class NamedVectors:
    """Finite float32 vectors (N, D) and the id of each row; ids are unique."""

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]

    def rows(self, wanted: Sequence[str], what: str) -> NDArray[np.float32]:
        """The vectors of these ids, in their order.

        Raises:
            BadInput: an id has no vector.
        """
        at = {name: row for row, name in enumerate(self.ids)}
        missing = [name for name in wanted if name not in at]
        if missing:
            raise BadInput(
                f"{len(missing)} of {len(wanted)} {what} have no vector; the first is {missing[0]!r}",
                hint="embed every one of them: `uae-bench task export` writes passages and queries with their ids",
            )
        return self.vectors[[at[name] for name in wanted]]


def read_vectors(path: Path, ids: Path | None = None) -> NamedVectors:
    """Vectors from .npy or .safetensors (with a file of ids), .npz (`vectors`, `ids`) or .parquet (`vector`, `id`).

    The file of ids has one per line, or is a JSON list; where it is given it stands above what the other file holds.

    Raises:
        BadInput: unreadable or of another format; Python objects inside (never unpickled); not a matrix of finite
            numbers; ids missing, repeated, or not as many as vectors.
    """
    try:
        array, named = _load(path)
    except BadInput:
        raise
    except Exception as error:  # each format's reader raises its own types, which all mean the same to a user
        raise BadInput(
            f"cannot read vectors from {path}: {error}", hint="is the file whole? is it of its type?"
        ) from error
    names = named if ids is None else _read_ids(ids)
    if names is None:
        raise BadInput(f"{path} holds no ids", hint="give the file of ids, one per line in the order of the rows")
    return NamedVectors(tuple(names), _checked(array, names, path))


def rank_vectors(view: RetrievalView, queries: NamedVectors, passages: NamedVectors, *, depth: int, system: str) -> Run:
    """Rank each query's pool (without pools: the corpus) by inner product, exactly; equal scores by passage id.

    Cosine needs vectors of unit length: they are taken as they are.

    Raises:
        BadInput: a query or passage of the view has no vector, or the two files differ in dimension.
    """
    candidates = Candidates.of(view, pooled_only=True)
    encoded = queries.rows([query.id for query in view.queries], "queries")
    matrix = passages.rows(candidates.ids, "passages")
    if encoded.shape[1] != matrix.shape[1]:
        raise BadInput(
            f"query vectors have {encoded.shape[1]} dimensions and passage vectors {matrix.shape[1]}",
            hint="embed both with the same model",
        )
    found: list[Found]
    if candidates.pools is None:
        found = nearest_rows(build_index(matrix), encoded, depth)
    else:
        found = rank_pools(matrix, encoded, [candidates.pools[query.id] for query in view.queries], depth)
    pairs = zip(view.queries, found, strict=True)
    return Run(system, depth, {query.id: candidates.ranking(rows, scores) for query, (rows, scores) in pairs})


def _load(path: Path) -> tuple[NDArray[Any], list[str] | None]:
    match path.suffix:
        case ".npy":
            return np.load(path, allow_pickle=False), None
        case ".npz":
            with np.load(path, allow_pickle=False) as file:
                return file["vectors"], [str(name) for name in file["ids"]] if "ids" in file else None
        case ".safetensors":
            return _only_tensor(path), None
        case ".parquet":
            return _columns(path)
    raise BadInput(f"{path} is no file of vectors by its name", hint=f"write {_FORMATS}")


def _columns(path: Path) -> tuple[NDArray[Any], list[str]]:
    """The columns `vector` and `id` of a Parquet file, without a Python object per number."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(["id", "vector"])
    column = table["vector"].combine_chunks()
    if not (pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)):
        raise ValueError(f"its column vector holds {column.type}, not lists")
    if len(pc.unique(pc.list_value_length(column))) != 1 or column.null_count or column.flatten().null_count:
        raise ValueError("its vectors are missing, broken, or differ in length")
    names = [str(name) for name in table["id"].to_pylist()]
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1), names


def _only_tensor(path: Path) -> NDArray[Any]:
    from safetensors.numpy import load_file

    tensors = load_file(path)
    if len(tensors) != 1:
        raise BadInput(f"{path} holds {len(tensors)} tensors: {sorted(tensors)}", hint="write exactly one")
    tensor: NDArray[Any] = next(iter(tensors.values()))
    return tensor


def _read_ids(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot read ids from {path}: {error}", hint="one id per line, or a JSON list") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInput(f"{path} is no list of ids", hint="one id per line, or a JSON list of strings")
    return names


def _checked(array: NDArray[Any], names: Sequence[str], path: Path) -> NDArray[np.float32]:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or 0 in array.shape:
        raise BadInput(f"{path} holds {array.dtype} of shape {array.shape}", hint="write a float matrix, a row per id")
    if len(names) != len(array):
        raise BadInput(f"{path} has {len(array)} vectors but {len(names)} ids", hint="write one id per row")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise BadInput(
            f"{path}: the vector of {names[broken[0]]!r} is not finite in float32", hint="embed that text again"
        )
    if len(set(names)) < len(names):
        repeated = next(name for position, name in enumerate(names) if name in names[:position])
        raise BadInput(f"{path}: the id {repeated!r} occurs twice", hint="write one vector per id")
    return vectors
