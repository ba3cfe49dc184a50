"""What an answer loses when its evidence is exchanged for a passage of another paper, in nats per token.

    python docs/figures/exchange.py --task covidqa --scorer lab:lfm2

A language model that reads the passage loses much; one that knows or guesses the answer loses nothing. Each question
is paired with one far from it in the task's order; its own passage is the marked one, the other the middle one of that
question's paper.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from uae_bench.lm.spec import parse_lm
from uae_bench.pipeline import read
from uae_bench.prompts import continuation


def falls(name: str, scorer: str, count: int) -> np.ndarray:
    """(count,) mean log-likelihood of the answer given its evidence, less that given the other paper's passage."""
    task, spec = read(name), parse_lm(scorer)
    marked = [query for query in task.queries if task.evidence(query) and task.answerable(query)]
    asked = [marked[place] for place in np.linspace(0, len(marked) - 1, min(count, len(marked))).astype(int)]
    pairs = []
    for place, query in enumerate(asked):
        other = task.queries[asked[(place + len(asked) // 2) % len(asked)]].document_id
        if other == task.queries[query].document_id:
            raise SystemExit(f"{query} and its opposite number ask about one document; the task is too small")
        elsewhere = task.documents[str(other)]
        for passage in (min(task.evidence(query)), elsewhere[len(elsewhere) // 2]):
            prompt = spec.prompt.answering(task.queries[query].text, [task.passages[passage]])
            pairs.append((prompt, continuation(task.answerable(query)[0].text)))
    with spec.open() as model:
        means = np.array([likelihood.mean for likelihood in model.score(pairs)])
    return np.asarray(means[0::2] - means[1::2])


def main() -> None:
    """Print mean, spread and how many fall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True, help="a card with documents and answers")
    parser.add_argument("--scorer", default="lab:lfm2", help="a language model")
    parser.add_argument("--questions", type=int, default=400)
    given = parser.parse_args()
    lost = falls(given.task, given.scorer, given.questions)
    told = (
        f"{given.scorer}, {len(lost)} questions: {lost.mean():.2f} nats per token on average "
        f"(least {lost.min():.2f}, median {np.median(lost):.2f}); {(lost > 0).sum()} of them fall\n"
    )
    sys.stdout.write(told)


if __name__ == "__main__":
    main()
