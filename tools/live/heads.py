"""The stored example of the box that opens the attention heads of the GPT.

A head is left out by replacing its mean of values by zeros before the output projection, as in
section 8.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch
from torch import nn

from tools.live.attention_table import attention_table_lines
from tools.live.catalogue import page_model, tokenizer_of
from tools.live.text_generation import visible_piece
from utils.models.attention import masked_softmax
from utils.models.gpt import GPT
from utils.models.masks import causal_mask
from utils.models.multi_head import SelfAttention

MODEL = "gpt-pieces"
HEAT_CAPTION = "from the piece of each row to those before it"
HEADS_TEXT = "I know what you mean.\n\nROMEO:\nWhat do I mean?"


@dataclass(frozen=True)
class ReadText:
    """What a GPT makes of a text of T tokens.

    Parameters
    ----------
    weights
        The weights of attention of each layer and head, (L, H, T, T).
    log_probs
        The log-probability in nats of each token but the first, (T − 1,).
    """

    weights: torch.Tensor
    log_probs: torch.Tensor

    @property
    def bits(self) -> float:
        """The loss in bits per token."""
        return -float(self.log_probs.mean()) / math.log(2)


@torch.inference_mode()
def read_text(model: GPT, ids: Sequence[int], without: tuple[int, int] | None = None) -> ReadText:
    """Let a GPT read a text, if asked without one of its heads.

    Parameters
    ----------
    model
        The model.
    ids
        Tokens, two or more and at most the model's `context_length`.
    without
        The layer and the head that is left out, counted from 0; None for the whole model.

    Returns
    -------
    read : ReadText
        Its weights of attention, and the log-probabilities of the tokens.
    """
    weights: list[torch.Tensor] = []

    def keep_weights(module: nn.Module, args: tuple[torch.Tensor], kwargs: dict[str, Any]) -> None:
        assert isinstance(module, SelfAttention)
        q, k, _ = module._project_heads(args[0], kwargs["rotary"])
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        weights.append(masked_softmax(scores, causal_mask(len(ids), len(ids)))[0])

    hooks = []
    attentions = [module for module in model.modules() if isinstance(module, SelfAttention)]
    for number, attention in enumerate(attentions):
        hooks.append(attention.register_forward_pre_hook(keep_weights, with_kwargs=True))
        if without is not None and number == without[0]:
            leave_out = _leaving_out(without[1], model.num_heads)
            hooks.append(attention.output_projection.register_forward_pre_hook(leave_out))
    try:
        logits, _ = model(torch.tensor([ids]))
    finally:
        for hook in hooks:
            hook.remove()
    log_probs = logits[0, :-1].double().log_softmax(-1)
    chosen = log_probs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return ReadText(torch.stack(weights), chosen)


def _leaving_out(head: int, num_heads: int) -> Callable[[nn.Module, tuple[torch.Tensor]], Any]:
    """Return a hook that replaces the part of a head in joined means of values by zeros."""

    def leave_out(_: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        parts = args[0].unflatten(-1, (num_heads, -1)).clone()
        parts[..., head, :] = 0
        return (parts.flatten(-2),)

    return leave_out


def heads_lines() -> Iterator[str]:
    """Yield what the GPT loses without each head on a text, and where the dearest head looks."""
    model, tokenizer = page_model(MODEL), tokenizer_of(MODEL)
    assert isinstance(model, GPT)
    ids = tokenizer.encode(HEADS_TEXT)
    whole = read_text(model, ids)
    num_layers, num_heads = whole.weights.shape[:2]
    changes = torch.tensor(
        [
            [read_text(model, ids, (layer, head)).bits - whole.bits for head in range(num_heads)]
            for layer in range(num_layers)
        ]
    )
    layer, head = divmod(int(changes.argmax()), num_heads)
    lines = escape(HEADS_TEXT).replace("\n", "<br>")
    yield f'<p class="live-text">{lines}</p>'
    loss = f"{whole.bits:.2f} bits for each after the first"
    yield f"<p>{len(ids)} pieces, {loss}, with all heads.</p>"
    yield from _grid_lines(changes, (layer, head))
    pieces = [visible_piece(tokenizer, token) for token in ids]
    weights = whole.weights[layer, head].tolist()
    rows = [row[: number + 1] for number, row in enumerate(weights)]
    name = f"Layer {layer + 1}, head {head + 1}"
    yield from attention_table_lines(pieces, pieces, rows, f"{name}: {HEAT_CAPTION}")


def _grid_lines(changes: torch.Tensor, chosen: tuple[int, int]) -> Iterator[str]:
    """Yield the table of what the loss changes without each head, (L, H)."""
    caption = "Without a head: change of the loss in bits per piece"
    yield f'<div class="live-scroll" tabindex="0" role="group" aria-label="{caption}">'
    yield f'<table class="live-grid"><caption>{caption}</caption>'
    columns = (f'<th scope="col">Head {head + 1}</th>' for head in range(changes.shape[1]))
    yield f"<tr><td></td>{''.join(columns)}</tr>"
    for layer, row in enumerate(changes.tolist()):
        cells = []
        for head, change in enumerate(row):
            mark = ' class="live-chosen"' if (layer, head) == chosen else ""
            cells.append(f"<td><span{mark}>{signed(change)}</span></td>")
        yield f'<tr><th scope="row">Layer {layer + 1}</th>{"".join(cells)}</tr>'
    yield from ("</table>", "</div>")


def signed(change: float) -> str:
    """Return a change with two digits and its sign, as the boxes show it.

    Parameters
    ----------
    change
        The number.

    Returns
    -------
    text : str
        Without a sign if it is rounded to zero.
    """
    text = f"{abs(change):.2f}"
    return text if text == "0.00" else f"{'−' if change < 0 else '+'}{text}"
