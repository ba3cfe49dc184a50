"""Leaderboards: results that are published, each with everything behind it, and pages made from nothing else."""

from uae_bench.leaderboard.check import check_boards
from uae_bench.leaderboard.pages import render_boards
from uae_bench.leaderboard.promote import add_results

__all__ = ["add_results", "check_boards", "render_boards"]
