"""Losses of models computed by hand, for the tests of benchmarks."""

from functools import wraps

import torch


def record_calls(monkeypatch, module, name):
    """Let a function of a module record its calls; return the list of (arguments, result)."""
    function, calls = getattr(module, name), []

    @wraps(function)
    def recorded(*arguments, **options):
        result = function(*arguments, **options)
        calls.append((arguments, result))
        return result

    monkeypatch.setattr(module, name, recorded)
    return calls


@torch.no_grad()
def token_losses(model, ids, source=None):
    """−log p of each of the tokens `ids` (N,) but the first, to a translator with a source (S,)."""
    model.eval()
    state = None if source is None else model.begin(source[None])
    logits, _ = model(ids[None, :-1], state)  # (1, N − 1, V)
    return -logits[0].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]  # (N − 1,)


def window_losses(model, ids, *, num_segments, context_length):
    """The same for a text that is cut into segments, and these into windows without a context."""
    count = len(ids) - 1
    length = -(-count // min(num_segments, count))
    losses = []
    for segment in range(0, count, length):
        segment_end = min(segment + length, count)
        for start in range(segment, segment_end, context_length):
            end = min(start + context_length, segment_end)
            losses.append(token_losses(model, ids[start : end + 1]))
    return torch.cat(losses)  # (N − 1,)
