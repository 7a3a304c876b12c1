"""The tree of beam search as a drawing, for the stored example of its box.

``book/_static/live/tree.js`` draws the same while the search runs, and the tests compare the two.
Each column is a step, with the hypotheses that it kept or ended from the most probable down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from tools.live.architectures import LiveTokenizer
from tools.live.text_generation import visible_piece
from utils.data.vocabulary import SPECIAL_TOKENS
from utils.decoding.beam_hypotheses import Hypothesis

CHARACTER, FEWEST, PADDING, HEIGHT, ROW, GAP, START = 7, 6, 12, 36, 44, 18, 8
LABEL = "The tree of hypotheses, drawn; the list after it says the same"
LEGEND = (
    "A column is a step, with its hypotheses from the most probable down; below each piece, log p "
    "up to there. Dashed and grey: given up. Round: ended, with its rank. Bold: the best."
)


@dataclass(eq=False)
class TreeNode:
    """A piece in the tree of all hypotheses that beam search ever kept.

    Parameters
    ----------
    token
        The piece; BOS at the root.
    parent
        The piece before it; None at the root.
    log_prob
        The log-probability of the pieces up to this one.
    children
        The pieces after it, in the order in which they were kept.
    end
        The log-probability of the hypothesis that ended after it, if one did.
    """

    token: int
    parent: TreeNode | None = None
    log_prob: float = 0.0
    children: list[TreeNode] = field(default_factory=list)
    end: float | None = None

    def path(self) -> list[TreeNode]:
        """Return the nodes from the root to this one, without the root."""
        return [] if self.parent is None else [*self.parent.path(), self]

    def ids(self) -> list[int]:
        """Return the pieces from the root to this one."""
        return [node.token for node in self.path()]


class StepItem(NamedTuple):
    """What a step of the search kept or ended.

    Parameters
    ----------
    node
        The piece that it kept, or after which a hypothesis ended.
    log_prob
        The log-probability of the hypothesis.
    has_ended
        Whether it ended in this step.
    """

    node: TreeNode
    log_prob: float
    has_ended: bool


class BeamTree(NamedTuple):
    """What beam search did with a source.

    Parameters
    ----------
    root
        The tree of all hypotheses that were kept.
    steps
        What each step kept and ended, best first.
    hypotheses
        The finished ones, best first.
    """

    root: TreeNode
    steps: list[list[StepItem]]
    hypotheses: list[Hypothesis]

    def rank(self, node: TreeNode) -> int:
        """Return the rank of the hypothesis that ended after a piece; 0 if there is none."""
        ids = [found.ids for found in self.hypotheses]
        return ids.index(node.ids()) + 1 if node.end is not None and node.ids() in ids else 0


def drawing_lines(tree: BeamTree, tokenizer: LiveTokenizer) -> Iterator[str]:
    """Yield the drawing of a search that has ended, as SVG.

    Parameters
    ----------
    tree
        The search.
    tokenizer
        The tokenizer of its pieces.

    Yields
    ------
    line : str
        HTML, which can be read without the styles of the site.
    """
    ranked = [item.node for step in tree.steps for item in step if tree.rank(item.node)]
    alive = {node for ended in ranked for node in ended.path()}
    best = {node for ended in ranked if tree.rank(ended) == 1 for node in ended.path()}
    places = {tree.root: (START, ROW // 2)}  # the right end of each node
    left, rows, lines, shapes = START + GAP, 1, [], []
    for step in tree.steps:
        texts = [_texts(item, tree, tokenizer) for item in step]
        longest = max(len(text) for pair in texts for text in pair)
        width = CHARACTER * max(FEWEST, longest) + PADDING
        for row, (item, pair) in enumerate(zip(step, texts, strict=True)):
            node, middle, turn = item.node, ROW * row + ROW // 2, left - GAP // 2
            kind = "live-best" if node in best else "live-kept"
            if item.has_ended:
                rank = tree.rank(node)
                kind = {0: "live-given-up", 1: "live-ended live-best"}.get(rank, "live-ended")
            elif node not in alive:
                kind = "live-given-up"
            parent = node if item.has_ended else node.parent
            assert parent is not None
            x, y = places[parent]
            curve = f"M{x} {y}C{turn} {y} {turn} {middle} {left} {middle}"
            lines.append(f'<path class="{kind}" d="{curve}"/>')
            shapes.append(_shape(kind, left, row, width, pair, is_round=item.has_ended))
            if not item.has_ended:
                places[node] = (left + width, middle)
        rows, left = max(rows, len(step)), left + width + GAP
    width, height = left - GAP + START, ROW * rows
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="live-drawing" role="img" '
        f'aria-label="{LABEL}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'fill="currentColor" font-family="monospace" font-size="12" text-anchor="middle">'
    )
    yield f'<circle cx="{START}" cy="{ROW // 2}" r="4"/>'
    yield from ('<g fill="none" stroke="currentColor">', *lines, "</g>", *shapes, "</svg>")


def _texts(item: StepItem, tree: BeamTree, tokenizer: LiveTokenizer) -> tuple[str, str]:
    """Return the two lines in the shape of an item."""
    text = run_text(tokenizer, [item.node.token])
    if item.has_ended:
        rank = tree.rank(item.node)
        text = f"rank {rank}" if rank else "lower"
    return text, number_text(item.log_prob)


def _shape(
    kind: str, left: int, row: int, width: int, texts: Sequence[str], *, is_round: bool
) -> str:
    """Return the shape of an item with its texts."""
    top, middle = ROW * row + (ROW - HEIGHT) // 2, left + width // 2
    place = f'x="{left}" y="{top}" width="{width}" height="{HEIGHT}"'
    lines = "".join(
        f'<text x="{middle}" y="{top + 15 * i}">{escape(text)}</text>'
        for i, text in enumerate(texts, start=1)
    )
    corner = HEIGHT // 2 if is_round else 4
    rectangle = f'<rect {place} rx="{corner}" fill="none" stroke="currentColor"/>'
    return f'<g class="{kind}">{rectangle}{lines}</g>'


def run_text(tokenizer: LiveTokenizer, ids: Sequence[int]) -> str:
    """Return some pieces as text, with a hyphen in front if they continue a word.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    ids
        The pieces.

    Returns
    -------
    text : str
        Their text, as the box shows it.
    """
    text = tokenizer.decode(ids)
    first = next((i for i in ids if i >= len(SPECIAL_TOKENS)), ids[0])
    continues = not visible_piece(tokenizer, first).startswith("▁") and text[:1].isalnum()
    return f"{'-' if continues else ''}{text or '▁'}"


def number_text(value: float) -> str:
    """Return a number with two digits and a minus sign."""
    return f"{value:.2f}".replace("-", "−")
