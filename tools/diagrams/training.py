"""The diagram of a training step: once round the loop."""

from __future__ import annotations

from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram


def training_step() -> Diagram:
    """Draw one training step as a loop: forward, loss, backward, clip, optimizer, new weights."""
    d = Diagram(
        "training-step",
        "One training step",
        "A loop. On the left, from bottom to top: a batch of B windows of T characters enters the "
        "model with its weights θ, which gives logits; the loss compares their softmax p with the "
        "next characters, the labels. On the right, from top to bottom: the backward pass gives "
        "the gradient g, clipping limits its norm, and the optimizer, which keeps running means "
        "and takes the learning rate from the schedule, subtracts a step from the weights. The "
        "next step begins with the new weights.",
        variants=each_part("forward", "gradient", "optimizer"),
    )
    left, right = 112, 312
    with d.part("forward"):
        batch = d.grid(left, 420, rows=2, columns=6, cell=16, meaning=lambda i, j: "embedding")
        d.note(left, 450, "batch (B, T)")
        model = d.box(left, 336, 176, "model, weights $θ$", "layer")
        d.arrow(batch.top, model.bottom)
        logits = d.box(left, 212, 176, "softmax: $p$", "output")
        d.arrow(model.top, logits.bottom, label="logits\n(B, T, V)")
    with d.part("forward"):
        loss = d.box(left, 98, 176, "loss $L$: mean of $-$log $p$", "loss")
        d.arrow(logits.top, loss.bottom, label="of the labels")
    with d.part("gradient"):
        gradient = d.vector(right, 98, "loss", cells=6, cell=16)
        d.text(right, 72, "gradient $g$")
        d.arrow(loss.right, gradient.left)
        clip = d.box(right, 164, 150, "clip the norm", "plain")
        d.arrow(gradient.bottom, clip.top)
    with d.part("optimizer"):
        optimizer = d.box(right, 250, 150, "optimizer", "state")
        d.arrow(clip.bottom, optimizer.top)
        d.note(right, 286, "running means $m$, $s$;")
        d.note(right, 304, "rate from the schedule")
        d.arrow((right, 318), (right, 336), model.right)
        d.text(right, 356, "new weights")
    return d
