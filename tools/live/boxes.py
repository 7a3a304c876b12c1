"""A Sphinx extension: scripts and styles of the live boxes, and the table of their models.

A box is raw HTML in Markdown, as `tools.live.examples` makes it; pages without one load nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from tools.directives import GeneratedDirective, table
from tools.evidence_lines import claim_block, plain
from tools.live.catalogue import MODELS_FOLDER
from tools.live.costs import COSTS, PAGE_ARM, RESULTS, STORED_ARM, Cost, read_costs
from tools.live.model_files import INDEX, read_index
from tools.translation.catalogues import _

PAGE = "book/live"
MARK = 'class="live-box"'
SCRIPTS = ("live/engine.js", "live/models/models.js", "live/boxes.js")  # in the order of execution
MORE_SCRIPTS = {  # after the others, on a page with a box of one of these kinds
    ("heads",): ("live/heads.js",),
    ("sentiment",): ("live/sentiment.js",),
    ("attention", "beam"): ("live/translator.js", "live/tree.js", "live/translation.js"),
}
STYLES = "live/boxes.css"


def add_files(
    app: Sphinx,
    _pagename: str,
    _templatename: str,
    context: dict[str, Any],
    _doctree: nodes.document | None,
) -> None:
    """Add the files to a page with a box.

    Parameters
    ----------
    app
        The running build, which writes this page.
    context
        What its template is filled with.
    """
    body = context.get("body", "")
    if MARK in body:
        scripts = [*SCRIPTS]
        for kinds, more in MORE_SCRIPTS.items():
            if any(f'data-live="{kind}"' in body for kind in kinds):
                scripts += more
        for number, script in enumerate(scripts):
            app.add_js_file(script, priority=600 + number, loading_method="defer")
        app.add_css_file(STYLES)


class LiveModels(GeneratedDirective):
    """A table of the models in the pages: size, parameters and loss."""

    def files(self) -> list[Path]:
        """Return the index of the models, of which the table is made."""
        return [MODELS_FOLDER / INDEX]

    def markdown(self) -> Iterator[str]:
        """Yield a row for each model."""
        header = [_("model"), _("megabytes"), _("parameters"), _("bits per character")]
        index = read_index(MODELS_FOLDER)
        yield from table(header, [table_row(name, index[name]) for name in index])


def table_row(name: str, description: Mapping[str, Any]) -> list[str]:
    """Return the cells of a model in the table.

    Parameters
    ----------
    name
        The model's name.
    description
        What the index says of it.

    Returns
    -------
    cells : list of str
        Empty where there is no such figure.
    """
    facts = description["facts"]
    bits = facts.get("valid_bits_per_character")
    return [
        f"`{name}`",
        f"{sum(description['parts']) / 1e6:.2f}",
        f"{facts['parameters']:,}" if "parameters" in facts else "",
        "" if bits is None else f"{bits:.4f}",
    ]


class LiveCosts(GeneratedDirective):
    """What 8-bit weights cost: a table, and a claim with its evidence for each row."""

    def messages(self) -> list[str]:
        """Return the claims in words, and the names of the measures and of what is compared."""
        return [
            *dict.fromkeys(map(measure_name, COSTS)),
            STORED_ARM,
            PAGE_ARM,
            *(cost.sentence for cost in COSTS),
        ]

    def files(self) -> list[Path]:
        """Return the file of the measurements."""
        return [RESULTS]

    def markdown(self) -> Iterator[str]:
        """Yield the table and the claims.

        Raises
        ------
        ValueError
            If a claim does not hold, or was not measured.
        """
        records = {label: entry["record"] for label, entry in read_costs().items()}
        if wrong := [c.label for c in COSTS if not records.get(c.label, {}).get("holds")]:
            raise ValueError(f"{', '.join(wrong)}: not measured, or does not hold")
        header = [_("model"), _("measure"), STORED_ARM, PAGE_ARM, _("difference")]
        yield from table(header, [cost_row(cost, records[cost.label]) for cost in COSTS])
        for cost in COSTS:
            yield from claim_block(cost.label, cost.sentence, PAGE, records[cost.label])


def cost_row(cost: Cost, record: Mapping[str, Any]) -> list[str]:
    """Return the cells of a measure in the table of costs.

    Parameters
    ----------
    cost
        What was measured.
    record
        The record of the claim.

    Returns
    -------
    cells : list of str
        The measure with both weights, and their difference with its interval.
    """
    digits = 2 if cost.unit == "BLEU" else 4
    values = [f"{record['values'][arm]:.{digits}f}" for arm in (STORED_ARM, PAGE_ARM)]
    (comparison,) = record["comparisons"]
    low, high = comparison["interval"]
    difference = f"{comparison['effect']:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    return [f"`{cost.model}`", measure_name(cost), *values, plain(difference)]


def measure_name(cost: Cost) -> str:
    """Return the name of a measure with its unit."""
    return cost.measure if cost.unit == "BLEU" else f"{cost.measure}, {cost.unit}"


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; Sphinx calls this."""
    app.add_directive("live-models", LiveModels)
    app.add_directive("live-costs", LiveCosts)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
