"""The stored examples of the boxes that translate: attention as a table, beam search as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

import torch

from tools.live.architectures import LiveTokenizer
from tools.live.attention_table import attention_table_lines
from tools.live.beam_tree import (
    LEGEND,
    BeamTree,
    StepItem,
    TreeNode,
    drawing_lines,
    number_text,
    run_text,
)
from tools.live.catalogue import TRANSLATOR, page_translator, tokenizer_of
from tools.live.text_generation import visible_piece
from utils.data.vocabulary import BOS, EOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_hypotheses import BeamHypotheses, Continuation
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
def beam_tree(model: Translator, source: Sequence[int], beam: BeamConfig = BEAM) -> BeamTree:
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
    tree : BeamTree
        All hypotheses that were kept, what each step did, and the finished ones.
    """
    search, root = BeamHypotheses(beam, max_length=MAX_LENGTH), TreeNode(BOS)
    nodes, steps, state = [root], list[list[StepItem]](), model.begin(torch.tensor([source]))
    while search.beam:
        logits, state = model(torch.tensor([[node.token] for node in nodes]), state)
        log_probs = allowed_logits(logits[:, -1]).double().log_softmax(-1)  # (K, V)
        totals = torch.tensor(search.log_probs(), dtype=torch.float64)[:, None] + log_probs
        values, places = totals.flatten().topk(2 * beam.beam_size)
        pairs = zip(values.tolist(), places.tolist(), strict=True)
        ranked = [Continuation(value, *divmod(place, totals.shape[1])) for value, place in pairs]
        steps.append(_grow(nodes, ranked, beam.beam_size))
        search.advance(ranked)
        nodes = [item.node for item in steps[-1] if not item.has_ended]
        if search.length == MAX_LENGTH:
            for node in nodes:
                node.end = node.log_prob
        rows = torch.tensor([partial.parent for partial in search.beam], dtype=torch.int64)
        state = select_rows(state, rows)
    return BeamTree(root, steps, search.finished)


def _grow(nodes: list[TreeNode], ranked: Sequence[Continuation], size: int) -> list[StepItem]:
    """Hang the continuations that are kept on the nodes of the beam; return them and the ends."""
    step: list[StepItem] = []
    for rank, (log_prob, number, token) in enumerate(ranked):
        parent = nodes[number]
        if token == EOS:
            if rank < size:
                parent.end = log_prob
                step.append(StepItem(parent, log_prob, has_ended=True))
        elif sum(not item.has_ended for item in step) < size:
            node = TreeNode(token, parent, log_prob)
            parent.children.append(node)
            step.append(StepItem(node, log_prob, has_ended=False))
    return step


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
    yield from attention_table_lines(rows[: len(weights)], columns, weights, "Weights of attention")


def beam_lines() -> Iterator[str]:
    """Yield a sentence, its translations by greedy and by beam search, and the tree."""
    model, tokenizer = page_translator(), tokenizer_of(TRANSLATOR)
    source = tokenizer.encode(BEAM_SENTENCE)
    greedy = translate_greedily(model, source)
    tree = beam_tree(model, source)
    yield f'<p lang="de">{escape(BEAM_SENTENCE)}</p>'
    yield (
        f'<p class="live-greedy"><span class="live-heading">Greedy search</span> '
        f"{escape(tokenizer.decode(greedy.ids))} "
        f'<span class="live-mark">log p {number_text(greedy.log_prob)}</span></p>'
    )
    yield '<div class="live-scroll" tabindex="0" role="group" aria-label="Beam search">'
    yield '<table class="live-hypotheses">'
    yield "<caption>Beam search, the best hypotheses</caption>"
    heads = ("Rank", "Translation", "log p", "Pieces", "Score")
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    yield f"<tr>{columns}</tr>"
    for rank, found in enumerate(tree.hypotheses, start=1):
        length = len(found.ids) + (len(found.ids) < MAX_LENGTH)
        texts = (
            str(rank),
            escape(tokenizer.decode(found.ids)),
            number_text(found.log_prob),
            str(length),
            number_text(found.score),
        )
        row = "".join(f"<td>{text}</td>" for text in texts)
        yield f"<tr>{row}</tr>"
    yield from ("</table>", "</div>")
    yield f'<p class="live-note">{LEGEND}</p>'
    yield '<div class="live-scroll" tabindex="0" role="group" aria-label="The tree of hypotheses">'
    yield from drawing_lines(tree, tokenizer)
    yield "</div>"
    yield '<ul class="live-tree live-hidden" aria-label="The tree of hypotheses">'
    for node in [tree.root] if len(tree.root.children) == 1 else tree.root.children:
        yield _tree_item(node, tree, tokenizer)
    yield "</ul>"


def _tree_item(node: TreeNode, tree: BeamTree, tokenizer: LiveTokenizer) -> str:
    """Return a run of pieces without a branch as an item of a list, with what follows inside."""
    ids = [node.token]
    while len(node.children) == 1 and node.end is None:
        node = node.children[0]
        ids.append(node.token)
    rank, has_ended = tree.rank(node), node.end is not None
    is_given_up = not has_ended and not node.children
    note = "given up" if is_given_up else ""
    if has_ended:
        note = f"ends, rank {rank}" if rank else "ends, not among the best"
    kind = "live-best" if rank == 1 else ""
    if is_given_up or (has_ended and rank == 0):
        kind = "live-given-up"
    mark = f' <span class="live-mark">{note}</span>' if note else ""
    end = "" if node.end is None else f" {number_text(node.end)}"
    inner = "".join(_tree_item(child, tree, tokenizer) for child in node.children)
    text = f'<span class="live-run" lang="en">{escape(run_text(tokenizer, ids))}</span>'
    text += f" {number_text(node.log_prob)}{mark}{end}"
    return f'<li class="{kind}">{text}{f"<ul>{inner}</ul>" if inner else ""}</li>'
