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
from tools.live.catalogue import MODELS_FOLDER
from tools.live.model_files import INDEX, read_index

MARK = 'class="live-box"'
SCRIPTS = ("live/engine.js", "live/models/models.js", "live/boxes.js")  # in the order of execution
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
    if MARK in context.get("body", ""):
        for number, script in enumerate(SCRIPTS):
            app.add_js_file(script, priority=600 + number, loading_method="defer")
        app.add_css_file(STYLES)


class LiveModels(GeneratedDirective):
    """A table of the models in the pages: size, parameters, and what quantization costs."""

    def files(self) -> list[Path]:
        """Return the index of the models, of which the table is made."""
        return [MODELS_FOLDER / INDEX]

    def markdown(self) -> Iterator[str]:
        """Yield a row for each model."""
        header = ["model", "megabytes", "parameters", "bits per character", "before quantization"]
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
    bits = [facts.get(f"valid_bits_per_character{which}") for which in ("", "_unquantized")]
    return [
        f"`{name}`",
        f"{sum(description['parts']) / 1e6:.2f}",
        f"{facts['parameters']:,}" if "parameters" in facts else "",
        *("" if value is None else f"{value:.4f}" for value in bits),
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension; Sphinx calls this."""
    app.add_directive("live-models", LiveModels)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
