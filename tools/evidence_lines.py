"""A claim with its evidence as Markdown, for the pages whose claims come from files of results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.translation.catalogues import _, translate
from utils.notebook.evidence import claim_evidence


def claim_block(label: str, sentence: str, page: str, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a claim below its label, and its evidence.

    Parameters
    ----------
    label
        The label, to which the page of claims links.
    sentence
        The claim in words.
    page
        The page that makes it, whose catalogue has the sentence.
    record
        What ``check.claim`` stores of such a claim.

    Yields
    ------
    line : str
        Markdown.
    """
    yield from ("", f"({label})=", translate(sentence, page), "")
    yield from evidence_block(record, plain(claim_evidence(record)))


def evidence_block(record: Mapping[str, Any], *parts: str) -> Iterator[str]:
    """Yield the evidence of a claim: the parts in front, then what differs and what is shared.

    Parameters
    ----------
    record
        What ``check.claim`` stores.
    parts
        What stands before, as Markdown.

    Yields
    ------
    line : str
        Markdown.
    """
    yield "```{div} claim-evidence"
    differs, shared = _("differs:"), _("shared:")
    yield " · ".join([*parts, f"{differs} {plain(record['differs'])}"]) + " · "
    yield from (f"{shared} {plain(record['shared'])}", "```")


def plain(text: str) -> str:
    """Return a text in which Markdown finds no markup, with minus signs before numbers."""
    text = re.sub(r"(?<![\w.])-(?=\d)", "−", text)
    return re.sub(r"([\\`*_{}\[\]<>$~#|])", r"\\\1", text)
