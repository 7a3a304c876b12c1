"""Layers that many models have: scaled embedding, output layer, norms.

Derived in section 7.3. Scaled embedding: Vaswani et al. 2017; tied embeddings: Press and Wolf 2017;
LayerNorm: Ba et al. 2016; RMSNorm: Zhang and Sennrich 2019.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import nn

from utils.arguments import check_bool, check_choice, check_number, check_positive, if_given
from utils.models.typed_module import TypedModule
from utils.torch_internals import ReplacingModule

Norm: TypeAlias = Literal["layer", "rms"]
"""The name of a norm of `make_norm`: LayerNorm or RMSNorm."""

NORMS: tuple[Norm, ...] = get_args(Norm)

RMS_EPSILON = 1e-6
"""Epsilon of RMSNorm if none is given: added to the mean square before its root is taken."""

LAYER_EPSILON = 1e-5
"""Epsilon of LayerNorm if none is given: added to the variance before its root is taken."""

MIN_EPSILON = torch.finfo(torch.float32).tiny
"""The smallest epsilon of a norm, 1.2·10⁻³⁸: half precision too is normalized in float32, where
smaller numbers become zero, and a vector of zeros NaN."""


class TiedModule(ReplacingModule, TypedModule):
    """A module whose parts still share parameters after these are replaced.

    torch replaces each parameter separately when a module leaves the meta device (``to_empty``) and
    when it takes over the tensors of a file (``load_state_dict`` with ``assign``). A matrix shared
    by an embedding and the output would become two, which training would move apart.
    """

    def replacing_tensors(self) -> AbstractContextManager[None]:
        """Return the context in which torch moves and converts the tensors of the module."""
        return _keep_shared_parameters(self)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load parameters as `torch.nn.Module.load_state_dict` does."""
        with _keep_shared_parameters(self):
            return super().load_state_dict(state_dict, strict, assign)


@contextmanager
def _keep_shared_parameters(module: nn.Module) -> Iterator[None]:
    """Let those parts of a module that share a parameter share one after the block as well."""
    owners: dict[nn.Parameter, list[tuple[nn.Module, str]]] = defaultdict(list)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
            owners[parameter].append((part, name))
    try:
        yield
    finally:  # also after a file that does not fit
        for (first, first_name), *others in owners.values():
            for part, name in others:
                setattr(part, name, getattr(first, first_name))


class ScaledEmbedding(nn.Embedding):
    """Embedding multiplied by √E, for a matrix tied to the output.

    Rows start with length about 1, so that as an output matrix they give logits of moderate size;
    the factor √E makes each number of a vector that the network reads about 1 as well. The
    constructor takes the arguments of `torch.nn.Embedding`.

    Source: Vaswani et al. 2017, section 3.4.
    """

    def reset_parameters(self) -> None:
        """Draw rows of length about 1, and set the row of padding to zero."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the vectors (…, E) of `ids` (…)."""
        vectors: torch.Tensor = super().forward(ids) * self.embedding_dim**0.5
        return vectors


class OutputLayer(nn.Linear):
    """Linear map to logits, whose matrix may be that of an embedding.

    A layer of this class marks the output of a model: by its method `output_parameters`, optimizers
    such as Muon find the matrices that they leave to AdamW.

    Source: Press and Wolf 2017, for tied matrices.

    Parameters
    ----------
    in_features
        Length of the vectors that the layer reads.
    out_features
        Number of logits: the vocabulary size V, or a number of classes.
    bias
        Give the layer a bias.
    embedding
        An embedding of `out_features` vectors of length `in_features`, whose matrix becomes the
        matrix of this layer; None for a matrix of its own.

    Raises
    ------
    ValueError
        If a size is not a positive integer.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        embedding: nn.Embedding | None = None,
    ) -> None:
        check_positive(in_features=in_features, out_features=out_features)
        check_bool(bias=bias)
        super().__init__(in_features, out_features, bias=bias)
        if embedding is not None:
            assert embedding.weight.shape == self.weight.shape, "the matrices differ in shape"
            self.weight = embedding.weight

    def output_parameters(self) -> list[torch.Tensor]:
        """Return a list of the output matrix alone."""
        return [self.weight]


def make_tied_output(embedding: nn.Embedding, *, zero_bias: bool = True) -> OutputLayer:
    """Make the output layer of a model whose output matrix is that of its embedding.

    Parameters
    ----------
    embedding
        The embedding, of V vectors of length E.
    zero_bias
        Let the bias start at 0; otherwise it starts with random numbers, as torch draws them.

    Returns
    -------
    output : OutputLayer
        A layer with a bias, from (…, E) to logits (…, V).

    Raises
    ------
    ValueError
        If `zero_bias` is neither True nor False.
    """
    check_bool(zero_bias=zero_bias)
    output = OutputLayer(embedding.embedding_dim, embedding.num_embeddings, embedding=embedding)
    if zero_bias:
        nn.init.zeros_(output.bias)
    return output


def make_dropout(dropout: float) -> nn.Dropout:
    """Make a dropout layer.

    Parameters
    ----------
    dropout
        The probability with which an element is set to zero.

    Returns
    -------
    layer : torch.nn.Dropout
        A layer without parameters that acts in training mode only.

    Raises
    ------
    ValueError
        If `dropout` is not a number from 0 to below 1, with which nothing would be left.
    """
    check_number(minimum=0, below=1, dropout=dropout)
    return nn.Dropout(dropout)


def projection_or_identity(input_size: int, output_size: int) -> nn.Module:
    """Build a linear map (…, input size) → (…, output size) without bias, or the identity."""
    if input_size == output_size:
        return nn.Identity()
    return nn.Linear(input_size, output_size, bias=False)


def make_norm(
    norm: Norm, width: int, *, bias: bool = True, epsilon: float | None = None
) -> nn.Module:
    """Build a normalization layer by name.

    Source: ``eq-layer-norm`` and ``eq-rms-norm`` (section 7.3).

    Parameters
    ----------
    norm
        "layer" for LayerNorm, "rms" for RMSNorm.
    width
        Length D of the vectors that are normalized.
    bias
        Give a LayerNorm a bias; RMSNorm has none.
    epsilon
        Added to the mean square or the variance before its root is taken, which avoids division by
        zero. It is at least `MIN_EPSILON`; None for `RMS_EPSILON` or `LAYER_EPSILON`.

    Returns
    -------
    layer : torch.nn.Module
        A layer from (…, D) to (…, D).

    Raises
    ------
    ValueError
        If the name is unknown, `width` is not a positive integer, `bias` is neither True nor False,
        or epsilon is not a number of at least `MIN_EPSILON`.

    Examples
    --------
    >>> import torch
    >>> from utils.models.layers import make_norm
    >>> make_norm("rms", 2)(torch.tensor([3.0, 4.0])).detach()
    tensor([0.8485, 1.1314])
    """
    check_choice(NORMS, norm=norm)
    check_positive(width=width)
    check_bool(bias=bias)
    check_number(minimum=MIN_EPSILON, **if_given(epsilon=epsilon))
    if norm == "rms":
        return nn.RMSNorm(width, eps=RMS_EPSILON if epsilon is None else epsilon)
    return nn.LayerNorm(width, eps=LAYER_EPSILON if epsilon is None else epsilon, bias=bias)


def make_final_norm(
    width: int,
    *,
    norm_first: bool = True,
    norm: Norm = "layer",
    bias: bool = False,
    epsilon: float | None = None,
) -> nn.Module:
    """Build the last norm of a stack: a norm after pre-norm layers, the identity after post-norm.

    Parameters
    ----------
    width
        Length D of the vectors.
    norm_first
        Whether the layers are pre-norm, so that their sum still has to be normalized.
    norm, bias, epsilon
        As in `make_norm`.

    Returns
    -------
    norm : torch.nn.Module
        A layer from (…, D) to (…, D).

    Raises
    ------
    ValueError
        As in `make_norm`, or if `norm_first` is neither True nor False.
    """
    check_bool(norm_first=norm_first)
    final_norm = make_norm(norm, width, bias=bias, epsilon=epsilon)
    return final_norm if norm_first else nn.Identity()
