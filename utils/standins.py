"""Stand-ins for the corpora, made on any machine without a network."""

from __future__ import annotations

from pydoc_data import topics


def text() -> str:
    """Python's own language manual as running text, each paragraph once."""
    paragraphs = "\n\n".join(topics.topics[name] for name in sorted(topics.topics)).split("\n\n")
    return "\n\n".join(dict.fromkeys(p.strip("\n") for p in paragraphs if p.strip())) + "\n"


def pairs(source: str, target: str):
    raise NotImplementedError("sentence pairs follow")


def reviews():
    raise NotImplementedError("reviews follow")


def digits():
    raise NotImplementedError("digits follow")
