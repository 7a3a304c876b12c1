"""Adversarial training: an objective that perturbs the word vectors of a classifier.

Introduced in section 9.1. Source: Miyato, Dai and Goodfellow 2017.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.arguments import check_number
from utils.contract import TextClassifier
from utils.data.labelled_batches import LabelledBatch
from utils.training.objectives import is_training, label_objective
from utils.training.protocols import Objective


def adversarial_objective(
    embedding: nn.Module, *, epsilon: float, label_smoothing: float = 0.0
) -> Objective[TextClassifier, LabelledBatch]:
    """Make the objective of adversarial training, which perturbs the word vectors of a classifier.

    It is the mean of two values of `label_objective`: one for the batch itself, and one for the
    batch with each text's word vectors moved in the direction in which its loss grows fastest. In
    evaluation mode nothing is moved.

    Source: Miyato, Dai and Goodfellow 2017, eq. 5 (section 9.1).

    Parameters
    ----------
    embedding
        The module of the classifier whose output are the word vectors, (B, S, E). The classifier
        must call it exactly once for a batch.
    epsilon
        Norm ε of the perturbation, over all word vectors of a text together.
    label_smoothing
        As for `label_objective`.

    Returns
    -------
    objective : Objective
        The objective, for the classifier of which `embedding` is a part. It computes gradients
        within a loss, which the strategy "shard" of several processes does not support.

    Raises
    ------
    ValueError
        If ε is not a non-negative number, or `label_smoothing` not from 0 to 1. The objective
        raises it if the classifier does not call `embedding` exactly once, or is sharded.
    """
    check_number(minimum=0, epsilon=epsilon)
    label_loss = label_objective(label_smoothing=label_smoothing)

    def objective(model: TextClassifier, batch: LabelledBatch) -> torch.Tensor:
        if not is_training(model):
            return label_loss(model, batch)
        vectors: list[torch.Tensor] = []
        with embedding.register_forward_hook(lambda _, __, output: vectors.append(output)):
            plain_loss = label_loss(model, batch)
        if len(vectors) != 1:
            raise ValueError(
                f"{type(model).__name__} called the embedding {len(vectors)} times for a batch: "
                "expected one call, of a module that makes the word vectors of the classifier"
            )
        (gradient,) = torch.autograd.grad(plain_loss, vectors, retain_graph=True)  # (B, S, E)
        parameters = model.parameters() if isinstance(model, nn.Module) else ()
        if any(hasattr(parameter, "to_local") for parameter in parameters):
            raise ValueError("adversarial training needs whole parameters: use strategy='data'")
        norm = gradient.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-12)  # (B, 1, 1)
        with embedding.register_forward_hook(lambda _, __, x: x + epsilon * gradient / norm):
            adversarial_loss = label_loss(model, batch)
        return (plain_loss + adversarial_loss) / 2

    return objective
