"""Rankings of words by attributions, and how far deleting words moves the answer."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch

from benchmarks.interpretability.networks import Reader
from utils.data.vocabulary import UNK

NODES = 8  # points on the path of integrated gradients
RANDOM = "random"
SIGNED = ("value", "attention × value", "gradient × input", "integrated gradients", "occlusion")
UNSIGNED = ("attention", *(f"|{name}|" for name in SIGNED))


def occlusion(reader: Reader, ids: torch.Tensor) -> torch.Tensor:
    """Compute occlusion: the score minus the score without each word.

    Source: ``eq-occlusion`` (section 8.2); Zeiler and Fergus 2014.

    Parameters
    ----------
    reader
        The classifier.
    ids
        A sentence, (1, S).

    Returns
    -------
    differences : torch.Tensor
        What each word adds, (S,).
    """
    S = ids.shape[1]
    without = ids.repeat(S, 1)  # (S, S)
    without.fill_diagonal_(UNK)
    with torch.no_grad():
        return reader(ids)[0] - reader(without)[0]


def integrated_gradients(reader: Reader, ids: torch.Tensor, *, nodes: int = NODES) -> torch.Tensor:
    """Compute integrated gradients: the mean gradient on the path from UNK, times the difference.

    Source: ``eq-integrated-gradients`` (section 8.2); Sundararajan, Taly and Yan 2017.

    Parameters
    ----------
    reader
        The classifier.
    ids
        A sentence, (1, S).
    nodes
        Points of Gauss's rule; 0 for gradient × input, the slope at the sentence itself.

    Returns
    -------
    parts : torch.Tensor
        The attribution of each word, (S,).
    """
    unknown = reader.embedding.weight[UNK].detach()  # (D,)
    difference = reader.embedding(ids).detach() - unknown  # (1, S, D)
    points, weights = np.ones(1), np.ones(1)
    if nodes:
        points, weights = np.polynomial.legendre.leggauss(nodes)
        points, weights = (points + 1) / 2, weights / 2
    on_path = torch.as_tensor(points).to(difference)[:, None, None]
    x = (unknown + on_path * difference).requires_grad_()  # (nodes, S, D)
    (slopes,) = torch.autograd.grad(reader(ids.expand(len(x), -1), x)[0].sum(), x)
    return (torch.as_tensor(weights).to(slopes)[:, None, None] * slopes * difference).sum((0, 2))


def attributions(
    reader: Reader, ids: torch.Tensor, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return all rankings of the words of a sentence: the most important has the largest number.

    Signed ones count what speaks for the model's answer, unsigned ones what matters at all.

    Parameters
    ----------
    reader
        The classifier.
    ids
        A sentence, (1, S).
    generator
        Draws the random ranking.

    Returns
    -------
    attributions : dict of str to torch.Tensor
        By the names of SIGNED, UNSIGNED and RANDOM, each (S,).
    """
    with torch.no_grad():
        z, w, h = reader(ids)
        values = h[0] @ reader.output.weight[0]  # (S,)
    signed = (
        values,
        w[0] * values,
        integrated_gradients(reader, ids, nodes=0),
        integrated_gradients(reader, ids),
        occlusion(reader, ids),
    )
    found = {name: torch.sign(z) * part for name, part in zip(SIGNED, signed, strict=True)}
    found |= {f"|{name}|": part.abs() for name, part in zip(SIGNED, signed, strict=True)}
    return found | {"attention": w[0], RANDOM: torch.rand(len(values), generator=generator)}


@torch.no_grad()
def deletion_curves(
    reader: Reader, ids: torch.Tensor, rankings: Sequence[torch.Tensor], *, deleted: int
) -> torch.Tensor:
    """Return the probability of the predicted class after 0, 1, … words are unknown.

    Source: ``eq-deletion-area`` (section 8.2); Samek et al. 2017.

    Parameters
    ----------
    reader
        The classifier.
    ids
        A sentence, (1, S).
    rankings
        The importance of its words, each (S,).
    deleted
        The largest number K of words to delete.

    Returns
    -------
    curves : torch.Tensor
        Probabilities, (rankings, K + 1).
    """
    rows = ids.repeat(len(rankings) * (deleted + 1), 1).view(len(rankings), deleted + 1, -1)
    for n, ranking in enumerate(rankings):
        order = ranking.argsort(descending=True)
        for k in range(deleted):
            rows[n, k + 1 :, order[k]] = UNK
    z, _, _ = reader(rows.flatten(0, 1))
    return (z * torch.sign(z[0])).sigmoid().view(len(rankings), deleted + 1)


def measure_deletion(
    reader: Reader, sentences: Sequence[Sequence[int]], *, deleted: int, seed: int
) -> dict[str, float]:
    """Delete the words of sentences in the order of each ranking.

    Parameters
    ----------
    reader
        The classifier.
    sentences
        Sentences of at least `deleted` words, as ids.
    deleted
        The number of words to delete.
    seed
        Of the random ranking.

    Returns
    -------
    figures : dict of str to float
        By ranking, the mean probability of the predicted class ("area") and the mean size of its
        change in either direction ("change"): over all sentences, and over those that the model
        answers by praise and by no praise. The score of unknown words alone, and the share of
        words whose value and whose occlusion have the sign of the answer.
    """
    reader = reader.double().eval()
    generator, names = torch.Generator().manual_seed(seed), [*SIGNED, *UNSIGNED, RANDOM]
    curves, scores, empty = [], [], []
    signs: dict[str, list[float]] = {"value": [], "occlusion": []}
    for sentence in sentences:
        ids = torch.tensor([sentence])
        found = attributions(reader, ids, generator)
        rankings = [found[name] for name in names]
        curves.append(deletion_curves(reader, ids, rankings, deleted=deleted))
        for name, shares in signs.items():
            shares.append(float((found[name] > 0).double().mean()))
        with torch.no_grad():
            scores.append(float(reader(ids)[0]))
            empty.append(float(reader(torch.full_like(ids, UNK))[0]))
    stacked, is_praise = torch.stack(curves), torch.tensor(scores) > 0
    areas = stacked.mean(2)  # (sentences, rankings)
    changes = (stacked[..., 1:] - stacked[..., :1]).abs().mean(2)
    figures = {"score, unknown words": fmean(empty)}
    figures |= {f"sign of the answer, {name}": fmean(shares) for name, shares in signs.items()}
    groups = {"": is_praise | ~is_praise, ", praise": is_praise, ", no praise": ~is_praise}
    for group, chosen in groups.items():
        if chosen.any():
            for what, values in (("area", areas), ("change", changes)):
                means = values[chosen].mean(0).tolist()
                pairs = zip(names, means, strict=True)
                figures |= {f"{what}, {name}{group}": mean for name, mean in pairs}
    return figures
