"""The ids that a model can read: checks of prompts, texts and sources before they reach it.

An embedding that lacks an id fails without naming it, and on a GPU it ends the process.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from utils.contract import vocab_size_of
from utils.data.checks import check_ids_in_vocabulary


def check_ids_of_model(model: object, ids: Iterable[int] | torch.Tensor) -> None:
    """Check that a model can read ids: its embedding has a vector for each of them.

    Parameters
    ----------
    model
        The model, whose vocabulary `vocab_size_of` finds. If it finds none, ids need only not be
        negative.
    ids
        The ids, integers in any number and shape.

    Raises
    ------
    ValueError
        If an id is negative or outside the vocabulary.
    """
    check_ids_in_vocabulary(ids, vocab_size_of(model))
