"""uae-bench: does a retriever really help the language model that reads its passages?"""

__version__ = "0.1.0"
