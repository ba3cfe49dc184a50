"""SePer (arXiv 2503.01478): how far a passage moves what a generator says towards a reference answer in meaning.

sampling     n answers at temperature T after each passage and after none, and the likelihood of each
entailment   whether an answer and a reference entail one another, as a classifier judges it
score        from both to ΔSePer: the score with the passage minus that without

What is kept is the evidence, answers with their likelihoods and both ways of entailment: another weighting needs no
model. It reads reference answers, so what ranks by it is a reference row. No torch before a model is asked.
"""

from uae_bench.seper.entailment import Judge, judge_of
from uae_bench.seper.options import SeperOptions
from uae_bench.seper.sampling import Evidence, EvidenceCounts, gather
from uae_bench.seper.score import delta_seper

__all__ = ["Evidence", "EvidenceCounts", "Judge", "SeperOptions", "delta_seper", "gather", "judge_of"]
