"""What the models of ``utils.lm`` and ``utils.seq2seq`` are stacked from.

Transformer layer: Vaswani et al. 2017; norm before or after: Xiong et al. 2020; RMSNorm: Zhang and
Sennrich 2019; squared ReLU: So et al. 2021; gated convolution: Dauphin et al. 2017 and Gehring et
al. 2017; tied embeddings: Press and Wolf 2017.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from utils.attention import CrossAttention, SelfAttention, angles, root_mean_square, sinusoids

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "relu2": lambda x: x * F.relu(x)}  # relu(x)²
NORMS = ("layer", "rms")
POSITIONS = ("learned", "rotary", "sinusoidal")
RNNS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class ScaledEmbedding(nn.Embedding):
    """Word vectors times √E, for a matrix that is also the output's (Vaswani et al. 2017, 3.4).

    Rows of length about 1 make logits of a sensible size; √E makes each number of a vector that
    the network reads about 1 as well, as torch's own embedding does.
    """

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        self._fill_padding_idx_with_zero()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids of any shape (…) → vectors (…, E)."""
        return super().forward(ids) * self.embedding_dim**0.5


class Places(nn.Module):
    """Tells a Transformer where its tokens stand, in one of three ways.

    `kind` is "learned" (a vector for each of `block` places, added), "sinusoidal" (added, without
    an end) or "rotary" (queries and keys of `head_width` are turned); else ValueError is raised.
    """

    def __init__(self, kind: str, width: int, head_width: int, block: int):
        super().__init__()
        if kind not in POSITIONS:
            raise ValueError(f"positions is {kind!r}; choose from {', '.join(POSITIONS)}")
        self.kind, self.head_width, self.block = kind, head_width, block
        self.table = nn.Embedding(block, width) if kind == "learned" else None

    def forward(self, x: torch.Tensor, positions: torch.Tensor):
        """x (B, T, D) at positions (B or 1, T) → x placed, and the rotary (cos, sin) or None.

        Raises ValueError where learned positions would run beyond the block.
        """
        if self.kind == "sinusoidal":
            return x + sinusoids(positions, x.shape[2], x.dtype), None
        if self.kind == "rotary":
            a = angles(positions, self.head_width, x.dtype)[:, None]  # (B or 1, 1, T, D/2H)
            return x, (a.cos().to(x.dtype), a.sin().to(x.dtype))
        if positions.numel() and (end := int(positions.max()) + 1) > self.block:
            raise ValueError(
                f"the text is {end} tokens long, and learned positions end at block={self.block}: "
                f"give a shorter text and max_length, or build the model with positions='rotary'"
            )
        return x + self.table(positions), None


class RMSNorm(nn.Module):
    """`root_mean_square` times a learned gain a number, no mean taken off (``eq-rms-norm``)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return root_mean_square(x) * self.weight


def make_norm(kind: str, width: int, bias: bool = True) -> nn.Module:
    """A norm by name; raises ValueError for an unknown one."""
    if kind not in NORMS:
        raise ValueError(f"norm is {kind!r}; choose from {', '.join(NORMS)}")
    return RMSNorm(width) if kind == "rms" else nn.LayerNorm(width, bias=bias)


class Layer(nn.Module):
    """One layer of a Transformer: self-attention, with `cross` attention to a memory, feed-forward.

    Each part f stands in a residual: x + f(norm(x)) with `norm_first` (``eq-pre-norm``), else
    norm(x + f(x)) (``eq-post-norm``, as in Vaswani et al. 2017). The feed-forward net is `hidden`
    wide, 4·D where not given. `attention` takes what `SelfAttention` takes. Raises ValueError for
    an unknown activation or norm.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        norm: str = "layer",
        activation: str = "gelu",
        bias: bool = False,
        dropout: float = 0.0,
        norm_first: bool = True,
        cross: bool = False,
        hidden: int | None = None,
        **attention,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; choose from {', '.join(ACTIVATIONS)}")
        self.activation, self.norm_first = ACTIVATIONS[activation], norm_first
        hidden = 4 * width if hidden is None else hidden
        self.norm1, self.norm2 = make_norm(norm, width, bias), make_norm(norm, width, bias)
        self.attention = SelfAttention(width, heads, bias=bias, dropout=dropout, **attention)
        self.norm_cross = make_norm(norm, width, bias) if cross else None
        self.cross = CrossAttention(width, heads, bias, dropout) if cross else None
        self.expand = nn.Linear(width, hidden, bias=bias)
        self.contract = nn.Linear(hidden, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, cache=None, turn=None, padding=None, known=None, seen=None):
        """x (B, T, D) → (B, T, D) and the cache; the first four as `SelfAttention` has them.

        `known` and `seen`: keys and values of the memory and its mask, as `CrossAttention`.
        """
        found, cache = self.attention(self._before(self.norm1, x), cache, turn, padding)
        x = self._after(self.norm1, x, found)
        if self.cross is not None:
            found = self.cross(self._before(self.norm_cross, x), known, seen)
            x = self._after(self.norm_cross, x, found)
        hidden = self.activation(self.expand(self._before(self.norm2, x)))  # (B, T, hidden)
        return self._after(self.norm2, x, self.contract(self.dropout(hidden))), cache

    def _before(self, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return norm(x) if self.norm_first else x

    def _after(self, norm: nn.Module, x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(found)
        return x if self.norm_first else norm(x)


class Recurrent(nn.Module):
    """torch's RNN, GRU or LSTM with the batch first, in its state too.

    `inputs` numbers a step, `layers` of `width` D. Raises ValueError for an unknown cell.
    """

    def __init__(self, cell: str, inputs: int, width: int, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.cell = cell
        self.rnn = make_rnn(cell, inputs, width, layers, dropout)

    def forward(self, x: torch.Tensor, state):
        """x (B, T, inputs), h (B, layers, D) or for an LSTM (h, c) → (B, T, D) and the state."""
        if self.cell == "lstm":
            x, state = self.rnn(x, tuple(swap(s) for s in state))
            return x, tuple(swap(s) for s in state)
        x, state = self.rnn(x, swap(state))
        return x, swap(state)


def make_rnn(
    cell: str, inputs: int, width: int, layers: int, dropout: float, bidirectional: bool = False
) -> nn.RNNBase:
    """torch's stack of `layers`, batch first, `dropout` between them; an LSTM's forget gates open.

    `width` is that of one direction. Raises ValueError for an unknown cell.
    """
    between = dropout if layers > 1 else 0.0  # torch warns where there is nothing between
    rnn = RNNS[check_cell(cell)](
        inputs, width, layers, batch_first=True, dropout=between, bidirectional=bidirectional
    )
    if cell == "lstm":
        open_forget_gates(rnn)
    return rnn


def check_cell(cell: str) -> str:
    """The cell's name, or ValueError with those there are."""
    if cell not in RNNS:
        raise ValueError(f"cell is {cell!r}; choose from {', '.join(RNNS)}")
    return cell


class GatedConvolution(nn.Module):
    """x (B, T, D) → a · σ(b), where a and b are convolutions of it: (B, T, D).

    Each place looks at `kernel` places: with `causal` at those before it, itself the last, which
    come as `before` (B, kernel − 1, D); else at as many on either side, for which an odd kernel is
    needed, or ValueError is raised.
    """

    def __init__(self, width: int, kernel: int = 3, causal: bool = False):
        super().__init__()
        check_sizes(width=width, kernel=kernel)
        if not causal and kernel % 2 == 0:
            raise ValueError(f"kernel must be odd to look as far back as ahead, got {kernel}")
        self.causal, self.kernel = causal, kernel
        self.convolution = nn.Conv1d(width, 2 * width, kernel, padding=0 if causal else kernel // 2)

    def forward(self, x: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
        """x (B, T, D), and for a causal one `before` (B, kernel − 1, D) → (B, T, D)."""
        x = torch.cat([before, x], 1) if self.causal else x
        return F.glu(self.convolution(x.mT), 1).mT


def open_forget_gates(lstm: nn.LSTM) -> None:
    """Set the forget gates' bias to 1, so that an untrained LSTM remembers (Gers et al. 2000).

    Keras does so by default, torch does not. Gates stand in the order input, forget, cell, output.
    """
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            nn.init.ones_(bias.data[lstm.hidden_size : 2 * lstm.hidden_size])


def where(ids: torch.Tensor) -> torch.Tensor:
    """ids (B, T) → the positions 0 … T − 1, (1, T)."""
    return torch.arange(ids.shape[1], device=ids.device)[None]


def swap(state: torch.Tensor) -> torch.Tensor:
    """(layers, B, D) ↔ (B, layers, D): torch puts layers first, our states the batch."""
    return state.transpose(0, 1).contiguous()


def check_sizes(**sizes: int) -> None:
    """Raise ValueError naming the size that is not a positive whole number."""
    for name, size in sizes.items():
        if int(size) != size or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size}")
