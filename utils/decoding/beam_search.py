"""Beam search for the most probable sequences, derived in section 3.2.

`best_sequences` is one call for greedy or beam search. Beam search for sequence models: Sutskever
et al. 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from utils.contract import NextTokenModel, StateT
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_hypotheses import BeamHypotheses, Continuation, Hypothesis
from utils.decoding.generation import NO_STATE, check_prompt_and_state, prompt_lengths
from utils.decoding.greedy_search import greedy_search
from utils.decoding.model_state import select_rows
from utils.decoding.token_rules import TokenRules, allowed_logits
from utils.runtime import evaluation_mode


@torch.inference_mode()
def beam_search(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT = NO_STATE,
    *,
    beam: BeamConfig = BeamConfig(),
    max_length: int = 100,
    rules: TokenRules = TokenRules(),
) -> list[list[Hypothesis]]:
    """Search for the hypotheses of highest score, keeping the best K after each token.

    Each step extends every partial hypothesis of a prompt by every token. Of these continuations,
    the K most probable that do not end in EOS are the next partial hypotheses; those that end in
    EOS and are among the K most probable are finished. A prompt's search ends when no partial
    hypothesis can overtake those that are returned (`BeamConfig` has other rules too), or at
    `max_length` tokens, where the partial ones count as finished. All prompts are searched
    together.

    Source: ``eq-beam`` (section 3.2); Sutskever et al. 2014.

    Parameters
    ----------
    model, prompt, state
        As for `utils.decoding.sampling.sample`.
    beam
        The beam size K, the ranking and the end of the search.
    max_length, rules
        As for `utils.decoding.sampling.sample`.

    Returns
    -------
    hypotheses : list of list of Hypothesis
        For each of the B prompts at most K hypotheses, best first.

    Raises
    ------
    ValueError
        As for `utils.decoding.sampling.sample`, where a prompt may be left without a hypothesis.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.beam_config import BeamConfig
    >>> from utils.decoding.beam_search import beam_search
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> sentences = [[4, 5, 2], [4, 5, 2], [4, 6, 2]]
    >>> model = NGramLM.mle(NGramCounts(sentences, order=2, vocab_size=7))
    >>> (hypotheses,) = beam_search(model, torch.tensor([[1]]), beam=BeamConfig(2))
    >>> [(best.ids, round(best.log_prob, 3)) for best in hypotheses]
    [([4, 5], -0.405), ([4, 6], -1.099)]
    """
    prompt = check_prompt_and_state(model, prompt, state, max_length=max_length, rules=rules)
    lengths = prompt_lengths(prompt)
    T = min(lengths, default=0)  # the first call reads as many tokens as all prompts have
    searches = [
        BeamHypotheses(beam, forced_tokens=row[T:length], max_length=max_length)
        for row, length in zip(prompt.tolist(), lengths, strict=True)
    ]
    ids = all_ids = prompt[:, :T]
    with evaluation_mode(model):
        while active := [search for search in searches if search.beam]:
            logits, state = model(ids, state)  # (R·K, T, V), R active prompts
            ranked = _best_continuations(logits[:, -1], all_ids, active, rules)
            rows = _advance(active, ranked).to(prompt.device)  # (R·K,)
            state, all_ids = select_rows(state, rows), all_ids[rows]
            last_tokens = [token for search in active if search.beam for token in search.next_ids]
            ids = torch.tensor(last_tokens, device=prompt.device)[:, None]  # (R·K, 1)
            all_ids = torch.cat([all_ids, ids], 1)
    return [_hypotheses(search, rules) for search in searches]


def best_sequences(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT = NO_STATE,
    *,
    beam: BeamConfig | None = None,
    max_length: int = 100,
    rules: TokenRules = TokenRules(),
) -> list[list[int]]:
    """Search for the best sequence after each prompt, greedily or with a beam.

    Parameters
    ----------
    model, prompt, state
        As for `beam_search`.
    beam
        The options of beam search, whose best hypothesis is returned; None for greedy search.
    max_length, rules
        As for `beam_search`.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        As for `utils.decoding.sampling.sample`.
    """
    if beam is None:
        return greedy_search(model, prompt, state, max_length=max_length, rules=rules)
    # the search may end sooner if only the best hypothesis is returned
    best = replace(beam, num_hypotheses=1)
    hypotheses = beam_search(model, prompt, state, beam=best, max_length=max_length, rules=rules)
    return [ranked[0].ids for ranked in hypotheses]


def _best_continuations(
    logits: torch.Tensor,
    all_ids: torch.Tensor,
    searches: Sequence[BeamHypotheses],
    rules: TokenRules,
) -> list[list[Continuation]]:
    """Return the 2 · `beam_size` best continuations for each of R prompts, best first.

    `logits` (R·K, V) follow `all_ids` (R·K, N). Twice the beam size is enough: at most K of the
    continuations end in EOS, one for each hypothesis. Tokens that the rules forbid have probability
    0; the others keep the model's probabilities.
    """
    # MPS has no float64
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64
    R, K, V = len(searches), len(searches[0].beam), logits.shape[-1]
    token_log_probs = allowed_logits(logits).to(dtype).log_softmax(-1)  # (R·K, V)
    new_lengths = [search.length for search in searches for _ in search.beam]
    token_log_probs = rules.apply(token_log_probs, all_ids, new_lengths).view(R, K, V)
    log_probs = [search.log_probs() for search in searches]
    partial_log_probs = torch.tensor(log_probs, dtype=dtype, device=logits.device)  # (R, K)
    totals = (partial_log_probs[:, :, None] + token_log_probs).view(R, K * V)
    count = min(2 * searches[0].config.beam_size, K * V)
    best, indices = totals.topk(count, -1)  # (R, count)
    return [
        [Continuation(log_prob, *divmod(i, V)) for log_prob, i in zip(*row, strict=True)]
        for row in zip(best.tolist(), indices.tolist(), strict=True)
    ]


def _advance(
    searches: Sequence[BeamHypotheses], ranked: Sequence[Sequence[Continuation]]
) -> torch.Tensor:
    """Advance all searches; return the batch row of the parent of each new hypothesis, (R·K,)."""
    K = len(searches[0].beam)  # rows of each search in the batch just read
    for search, continuations in zip(searches, ranked, strict=True):
        search.advance(continuations)
    rows = [i * K + partial.parent for i, search in enumerate(searches) for partial in search.beam]
    return torch.tensor(rows, dtype=torch.int64)


def _hypotheses(search: BeamHypotheses, rules: TokenRules) -> list[Hypothesis]:
    """Return the hypotheses of a search that has ended, best first."""
    if not search.finished:
        raise rules.no_token_error()
    return search.finished
