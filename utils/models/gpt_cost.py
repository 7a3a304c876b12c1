"""The cost of ``utils.models.gpt.GPT`` by formula: its parameters and floating-point operations.

Sections 2.2 and 8.1 derive the formulas, after Kaplan et al. 2020. ``utils.metrics.cost`` counts
both for any model.
"""

from __future__ import annotations

from utils.arguments import check_positive


def gpt_parameters(vocab_size: int, *, width: int, num_layers: int) -> int:
    """Compute the number of parameters of `GPT` with its default options.

    They are the embedding, which is also the output matrix, four matrices and two gains in each
    layer, and the gain of the final norm.

    Source: ``eq-gpt-parameters`` (section 2.2).

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_layers
        Number of layers.

    Returns
    -------
    num_parameters : int
        The number of parameters.

    Raises
    ------
    ValueError
        If a size is not a positive integer.

    Examples
    --------
    >>> from utils.metrics.cost import count_parameters
    >>> from utils.models.gpt import GPT
    >>> from utils.models.gpt_cost import gpt_parameters
    >>> gpt_parameters(50, width=32, num_layers=2)
    26336
    >>> count_parameters(GPT(50, width=32, num_layers=2))
    26336
    """
    check_positive(vocab_size=vocab_size, width=width, num_layers=num_layers)
    return vocab_size * width + num_layers * (12 * width**2 + 2 * width) + width


def gpt_flops(vocab_size: int, *, width: int, num_layers: int, batch_size: int, length: int) -> int:
    """Compute the floating-point operations (FLOPs) of one forward pass of GPT over ids (B, T).

    A multiplication and an addition count as two operations. Only matrix products count, not norms,
    softmax or rotations; attention counts as the full T × T, masked or not. A training step takes
    three times as many (``eq-training-flops``).

    Source: ``eq-flops-forward`` (section 2.2), times B·T; Kaplan et al. 2020.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_layers
        Number of layers.
    batch_size
        Number B of texts.
    length
        Number T of tokens of each text.

    Returns
    -------
    num_flops : int
        The number of operations.

    Raises
    ------
    ValueError
        If a size is not a positive integer.
    """
    check_positive(
        vocab_size=vocab_size,
        width=width,
        num_layers=num_layers,
        batch_size=batch_size,
        length=length,
    )
    per_token = (
        2 * (12 * num_layers * width**2 + vocab_size * width) + 4 * num_layers * length * width
    )
    return batch_size * length * per_token
