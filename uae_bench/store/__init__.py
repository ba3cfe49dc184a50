"""The store: nothing computed is computed twice, nothing stale, torn or altered is ever reused.

* `<root>/artifacts/<stage>/<key digest>/`: the files of one artifact and its manifest.json, written last
* `<root>/artifacts/<stage>/<key digest>.work/`: the same in the making, invisible until it is renamed
* `<root>/locks/<key digest>`: held while that artifact is made
* `<root>/calls.sqlite`: answers of language models, one transaction per planned batch
"""

from uae_bench.store.artifacts import Artifact, Entry, GcReport, Store
from uae_bench.store.calls import CallCache
from uae_bench.store.digests import Json, canonical_json, digest_of, file_digest, finite, folder_digest
from uae_bench.store.files import explained, lock, write_atomically
from uae_bench.store.key import Key

__all__ = [
    "Artifact",
    "CallCache",
    "Entry",
    "GcReport",
    "Json",
    "Key",
    "Store",
    "canonical_json",
    "digest_of",
    "explained",
    "file_digest",
    "finite",
    "folder_digest",
    "lock",
    "write_atomically",
]
