"""The stored examples of the boxes that translate: attention as a table, beam search as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import torch

from tools.live.architectures import LiveTokenizer
from tools.live.catalogue import TRANSLATOR, page_translator, tokenizer_of
from tools.live.heat import heat_lines
from tools.live.writer import visible_piece
from utils.data.vocabulary import BOS, EOS, SPECIAL_TOKENS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_hypotheses import BeamHypotheses, Continuation, Hypothesis
from utils.decoding.greedy_search import greedy_search
from utils.decoding.model_state import select_rows
from utils.decoding.token_rules import allowed_logits
from utils.models.attention_decoder import AttentionDecoder
from utils.models.stored_translator import Translator

ATTENTION_SENTENCE = "Ein Hund rennt durch den Schnee."
BEAM_SENTENCE = "Ein Mann mit Bart repariert auf der Straße sein Fahrrad."
BEAM, MAX_LENGTH = BeamConfig(5, patience=1), 60


class GreedyTranslation(NamedTuple):
    """What greedy search does with a source.

    Parameters
    ----------
    ids
        The pieces of the translation, without EOS.
    weights
        The weights of attention at each step, the end included, (steps, S).
    log_prob
        The log-probability of all steps.
    """

    ids: list[int]
    weights: torch.Tensor
    log_prob: float


@dataclass(eq=False)
class TreeNode:
    """A piece in the tree of all hypotheses that beam search ever kept.

    Parameters
    ----------
    token
        The piece; BOS at the root.
    parent
        The piece before it; None at the root.
    children
        The pieces after it, in the order in which they were kept.
    has_ended
        Whether a hypothesis ended after it.
    """

    token: int
    parent: TreeNode | None = None
    children: list[TreeNode] = field(default_factory=list)
    has_ended: bool = False

    def ids(self) -> list[int]:
        """Return the pieces from the root to this one."""
        return [] if self.parent is None else [*self.parent.ids(), self.token]


@torch.inference_mode()
def translate_greedily(model: Translator, source: Sequence[int]) -> GreedyTranslation:
    """Translate one source by greedy search.

    Parameters
    ----------
    model
        The translator.
    source
        The pieces of the source.

    Returns
    -------
    translation : GreedyTranslation
        The pieces with the weights of attention.
    """
    state = model.begin(torch.tensor([source]))
    (ids,) = greedy_search(model, torch.tensor([[BOS]]), state, max_length=MAX_LENGTH)
    chosen = [*ids, EOS][:MAX_LENGTH]
    inputs = torch.tensor([[BOS, *chosen[:-1]]])
    logits, _ = model(inputs, state)
    log_probs = allowed_logits(logits[0]).double().log_softmax(-1)
    log_prob = float(log_probs[torch.arange(len(chosen)), chosen].sum())
    decoder = model.decoder
    assert isinstance(decoder, AttentionDecoder)
    weights = decoder.attention_weights(inputs, state)[0]
    return GreedyTranslation(ids, weights, log_prob)


@torch.inference_mode()
def beam_tree(
    model: Translator, source: Sequence[int], beam: BeamConfig = BEAM
) -> tuple[TreeNode, list[Hypothesis]]:
    """Run beam search on one source, as `beam_search` does, and keep its tree.

    Parameters
    ----------
    model
        The translator.
    source
        The pieces of the source.
    beam
        The options of beam search.

    Returns
    -------
    root : TreeNode
        The tree of all hypotheses that were kept.
    hypotheses : list of Hypothesis
        The finished ones, best first.
    """
    search, root = BeamHypotheses(beam, max_length=MAX_LENGTH), TreeNode(BOS)
    nodes, state = [root], model.begin(torch.tensor([source]))
    while search.beam:
        logits, state = model(torch.tensor([[node.token] for node in nodes]), state)
        log_probs = allowed_logits(logits[:, -1]).double().log_softmax(-1)  # (K, V)
        totals = torch.tensor(search.log_probs(), dtype=torch.float64)[:, None] + log_probs
        values, places = totals.flatten().topk(2 * beam.beam_size)
        pairs = zip(values.tolist(), places.tolist(), strict=True)
        ranked = [Continuation(value, *divmod(place, totals.shape[1])) for value, place in pairs]
        kept = _grow(nodes, ranked, beam.beam_size)
        search.advance(ranked)
        if search.length == MAX_LENGTH:
            for node in kept:
                node.has_ended = True
        rows = torch.tensor([partial.parent for partial in search.beam], dtype=torch.int64)
        state, nodes = select_rows(state, rows), kept
    return root, search.finished


def _grow(nodes: list[TreeNode], ranked: Sequence[Continuation], size: int) -> list[TreeNode]:
    """Hang the continuations that are kept on the nodes of the beam, and return them."""
    kept: list[TreeNode] = []
    for rank, continuation in enumerate(ranked):
        parent = nodes[continuation.parent]
        if continuation.token == EOS:
            parent.has_ended = parent.has_ended or rank < size
        elif len(kept) < size:
            kept.append(TreeNode(continuation.token, parent))
            parent.children.append(kept[-1])
    return kept


def attention_lines() -> Iterator[str]:
    """Yield a sentence, its translation, and the weights of attention as a table."""
    tokenizer = tokenizer_of(TRANSLATOR)
    source = tokenizer.encode(ATTENTION_SENTENCE)
    found = translate_greedily(page_translator(), source)
    yield (
        f'<p><span lang="de">{escape(ATTENTION_SENTENCE)}</span> → '
        f'<span class="live-new">{escape(tokenizer.decode(found.ids))}</span></p>'
    )
    columns = [visible_piece(tokenizer, piece) for piece in source]
    rows = [*(visible_piece(tokenizer, piece) for piece in found.ids), "end"]
    weights = found.weights.tolist()
    yield from heat_lines(rows[: len(weights)], columns, weights, "Weights of attention")


def beam_lines() -> Iterator[str]:
    """Yield a sentence, its translations by greedy and by beam search, and the tree."""
    model, tokenizer = page_translator(), tokenizer_of(TRANSLATOR)
    source = tokenizer.encode(BEAM_SENTENCE)
    greedy = translate_greedily(model, source)
    root, hypotheses = beam_tree(model, source)
    yield f'<p lang="de">{escape(BEAM_SENTENCE)}</p>'
    yield (
        f'<p class="live-greedy"><span class="live-heading">Greedy search</span> '
        f"{escape(tokenizer.decode(greedy.ids))} "
        f'<span class="live-mark">log p {_number(greedy.log_prob)}</span></p>'
    )
    yield '<div class="live-scroll" tabindex="0" role="group" aria-label="Beam search">'
    yield '<table class="live-hypotheses">'
    yield "<caption>Beam search, the best hypotheses</caption>"
    heads = ("Rank", "Translation", "log p", "Pieces", "Score")
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    yield f"<tr>{columns}</tr>"
    for rank, found in enumerate(hypotheses, start=1):
        length = len(found.ids) + (len(found.ids) < MAX_LENGTH)
        texts = (
            str(rank),
            escape(tokenizer.decode(found.ids)),
            _number(found.log_prob),
            str(length),
            _number(found.score),
        )
        row = "".join(f"<td>{text}</td>" for text in texts)
        yield f"<tr>{row}</tr>"
    yield from ("</table>", "</div>")
    ranks = {tuple(found.ids): rank for rank, found in enumerate(hypotheses, start=1)}
    yield '<ul class="live-tree" aria-label="The tree of hypotheses">'
    roots = [root] if len(root.children) == 1 else root.children
    for node in roots:
        yield _tree_item(node, tokenizer, ranks)
    yield "</ul>"


def _tree_item(node: TreeNode, tokenizer: LiveTokenizer, ranks: dict[tuple[int, ...], int]) -> str:
    """Return a run of pieces without a branch as an item of a list, with what follows inside."""
    ids = [node.token]
    while len(node.children) == 1 and not node.has_ended:
        node = node.children[0]
        ids.append(node.token)
    rank = ranks.get(tuple(node.ids())) if node.has_ended else None
    is_given_up = not node.has_ended and not node.children
    note = "given up" if is_given_up else ""
    if node.has_ended:
        note = f"ends, rank {rank}" if rank else "ends, not among the best"
    kind = "live-best" if rank == 1 else ""
    if is_given_up or (node.has_ended and rank is None):
        kind = "live-given-up"
    mark = f' <span class="live-mark">{note}</span>' if note else ""
    inner = "".join(_tree_item(child, tokenizer, ranks) for child in node.children)
    text = f'<span class="live-run" lang="en">{escape(run_text(tokenizer, ids))}</span>'
    return f'<li class="{kind}">{text}{mark}{f"<ul>{inner}</ul>" if inner else ""}</li>'


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


def _number(value: float) -> str:
    """Return a number with two digits and a minus sign."""
    return f"{value:.2f}".replace("-", "−")
