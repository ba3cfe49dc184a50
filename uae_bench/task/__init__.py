"""Tasks: cards, the readers of raw files, pools, and the tools that make and check a card."""
