"""Beam search that keeps what it kept at each step, to be drawn as a tree."""

from __future__ import annotations

import torch

from benchmarks.seq2seq.measures import MAX_LENGTH, Figures, Model
from benchmarks.seq2seq.task import Recipe, Task
from utils.data.vocabulary import BOS, EOS, PAD

TREES, TREE_BEAM = 8, 3
TREE_LENGTH, TREE_SENTENCES = 10, 1000  # pieces of a source; validation sentences tried


def search_trees(model: Model, task: Task, recipe: Recipe) -> list[Figures]:
    """Search short validation sentences for which greedy and beam search differ.

    Parameters
    ----------
    model
        A trained model.
    task
        The data.
    recipe
        The recipe, which says how the model reads a source.

    Returns
    -------
    trees : list of dict
        At most TREES entries: the number of the validation sentence, the greedy answer with its
        log-probability, and the steps of a search by `search_tree`.
    """
    trees: list[Figures] = []
    for number, (source, _) in enumerate(task.pairs("valid", recipe)[:TREE_SENTENCES]):
        if len(source) > TREE_LENGTH:
            continue
        ids = torch.tensor([source])
        greedy, log_prob = _best(search_tree(model, ids, 1))
        steps = search_tree(model, ids, TREE_BEAM)
        best, best_log_prob = _best(steps)
        is_short = max(len(greedy), len(best)) <= TREE_LENGTH + 1
        if is_short and best != greedy and best_log_prob > log_prob:
            for step in steps:
                for entry in step:
                    entry["piece"] = _piece(task, entry.pop("token"))
            trees.append(
                {
                    "sentence": number,
                    "greedy": [_piece(task, token) for token in greedy],
                    "greedy log p": log_prob,
                    "steps": steps,
                }
            )
        if len(trees) == TREES:
            break
    return trees


@torch.no_grad()
def search_tree(model: Model, source: torch.Tensor, beam_size: int) -> list[list[Figures]]:
    """Run beam search for one source and keep what it keeps.

    Parameters
    ----------
    model
        A trained model.
    source
        The ids of one source, (1, S).
    beam_size
        The number K of unfinished beginnings that a step keeps.

    Returns
    -------
    steps : list of list of dict
        For each step its unfinished beginnings, most probable first, and after them the answers
        that end here: the new token, log p so far, "parent", the index of the beginning in the
        step before, and whether it has ended.

        The search ends when no beginning is more probable than the best answer.
    """
    memory = model.begin(source)
    beam: list[tuple[list[int], float]] = [([], 0.0)]
    steps: list[list[Figures]] = []
    best = -float("inf")
    while beam and beam[0][1] > best and len(steps) < MAX_LENGTH:
        entries = []
        for parent, (ids, log_prob) in enumerate(beam):
            logits, _ = model(torch.tensor([[BOS, *ids]]), memory)
            logits[..., [PAD, BOS]] = -float("inf")
            values, tokens = logits[0, -1].double().log_softmax(-1).topk(2 * beam_size)
            for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
                entry = {"token": token, "log_prob": log_prob + value, "parent": parent}
                entries.append(entry | {"ended": token == EOS})
        entries.sort(key=lambda entry: -entry["log_prob"])
        ended = [entry for entry in entries[:beam_size] if entry["ended"]]
        kept = [entry for entry in entries if not entry["ended"]][:beam_size]
        steps.append(kept + ended)
        best = max([best, *(entry["log_prob"] for entry in ended)])
        beam = [([*beam[e["parent"]][0], e["token"]], e["log_prob"]) for e in kept]
        if beam_size == 1 and ended:  # greedy search ends with its first EOS
            break
    return steps


def _best(steps: list[list[Figures]]) -> tuple[list[int], float]:
    """Return the tokens of the most probable answer of a search, with EOS, and its log p."""
    ends = [(t, entry) for t, step in enumerate(steps) for entry in step if entry["ended"]]
    if not ends:
        return [], -float("inf")
    t, entry = max(ends, key=lambda end: end[1]["log_prob"])
    tokens, log_prob = [entry["token"]], entry["log_prob"]
    for step in reversed(steps[:t]):
        entry = step[entry["parent"]]
        tokens.append(entry["token"])
    return tokens[::-1], log_prob


def _piece(task: Task, token: int) -> str:
    """Return a piece as it is shown in a figure."""
    return "EOS" if token == EOS else task.tokenizer.backend.decode([token]).replace(" ", "▁")
