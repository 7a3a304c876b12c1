"""The page of claims: each comparison of models in one sentence, with the evidence for it.

A claim has its sentence in the prose of a notebook, in a paragraph below the line ``(claim-…)=``,
and its evidence in the output of the cell that calls ``check.claim`` with the same label. Those
of the results page and those about the models in the page have both from `tools.result_claims` and
`tools.live.costs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools import result_claims
from tools.book_facts import read_page, read_records, read_text
from tools.contents import ROOT, page_names, source_file
from tools.directives import GeneratedDirective
from tools.evidence_lines import evidence_block, plain
from tools.live.costs import COSTS, RESULTS, read_costs
from tools.translation.catalogues import _, translate
from utils.notebook.cell_output import CLAIM_KEY
from utils.notebook.evidence import claim_evidence

LIVE_PAGE, RESULTS_PAGE = "book/live", "book/results"
# a paragraph below its target
SENTENCE = re.compile(r"^\((claim-[\w-]+)\)=\n+((?:.+\n?)+)", re.MULTILINE)


@dataclass(frozen=True)
class ClaimEntry:
    """A claim of the book.

    Parameters
    ----------
    label
        Its label, ``claim-…``.
    page
        The name of the page that makes it.
    sentence
        The claim in words, as the page has it.
    record
        What ``check.claim`` stored about it.
    """

    label: str
    page: str
    sentence: str
    record: Mapping[str, Any]

    @property
    def evidence(self) -> str:
        """The effect with its spread, the test, and the number of seeds or items."""
        return claim_evidence(self.record)

    @property
    def benchmarks(self) -> list[str]:
        """The files of stored results that the figures come from, none if computed on the page."""
        sources = self.record["sources"].values()
        return sorted({source["file"] for source in sources if isinstance(source, Mapping)})


def read_claims(name: str, root: Path = ROOT) -> list[ClaimEntry]:
    """Read the claims of a page.

    Parameters
    ----------
    name
        The name of the page, as in ``_toc.yml``.
    root
        The folder of the book.

    Returns
    -------
    claims : list of ClaimEntry
        In the order of their sentences.

    Raises
    ------
    ValueError
        If a sentence has no evidence, or evidence no sentence.
    """
    path = source_file(name, root)
    records = {record["label"]: record for record in read_records(path, CLAIM_KEY)}
    sentences = read_sentences(read_text(path, "markdown"))
    if without := sorted(records.keys() ^ sentences.keys()):
        raise ValueError(
            f"{path.name}: {', '.join(without)} needs both a paragraph below (claim-…)= and an "
            "executed check.claim of the same label"
        )
    return [
        ClaimEntry(label, name, sentence, records[label]) for label, sentence in sentences.items()
    ]


def read_sentences(text: str) -> dict[str, str]:
    """Return the paragraphs below the targets ``(claim-…)=``, each on one line, by label."""
    return {label: " ".join(paragraph.split()) for label, paragraph in SENTENCE.findall(text)}


def read_live_claims() -> list[ClaimEntry]:
    """Return the claims about the models in the page, whose evidence is a file of results."""
    costs = read_costs()
    return [
        ClaimEntry(cost.label, LIVE_PAGE, cost.sentence, costs[cost.label]["record"])
        for cost in COSTS
    ]


def read_result_claims() -> list[ClaimEntry]:
    """Return the claims of the results page."""
    return [
        ClaimEntry(claim.label, RESULTS_PAGE, claim.sentence, claim.record())
        for claim in result_claims.CLAIMS
    ]


OTHER_CLAIMS = {LIVE_PAGE: read_live_claims, RESULTS_PAGE: read_result_claims}
"""How the claims of pages that are no notebooks are read."""


class ClaimList(GeneratedDirective):
    """Every claim, with a link to it and its evidence."""

    def files(self) -> list[Path]:
        """Return the pages and the files of the claims that no notebook makes."""
        return [*super().files(), RESULTS, *result_claims.FILES]

    def markdown(self) -> Iterator[str]:
        """Yield a heading for each page with claims, and each claim with its evidence."""
        for name in page_names():
            claims = OTHER_CLAIMS.get(name, partial(read_claims, name))()
            if claims:
                yield from (f"### {read_page(name).title}", "")
            for claim in claims:
                yield from claim_lines(claim)


def claim_lines(claim: ClaimEntry) -> Iterator[str]:
    """Yield what the page of claims shows of a claim.

    Parameters
    ----------
    claim
        The claim's sentence with the evidence that its notebook stored.

    Yields
    ------
    line : str
        Markdown.
    """
    record = claim.record
    yield from (translate(claim.sentence, claim.page), "")
    place = _("where it is made")
    parts = [f"{{ref}}`{place} <{claim.label}>`", plain(claim.evidence)]
    if claim.benchmarks:
        parts.append(_("from {}").format(", ".join(claim.benchmarks)))
    yield from (*evidence_block(record, *parts), "")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive; Sphinx calls this."""
    app.add_directive("claim-list", ClaimList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
