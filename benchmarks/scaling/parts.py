"""The parts of the benchmark beside the grid, and their arms."""

from __future__ import annotations

from benchmarks.scaling.training import Recipe
from utils.models.gpt_cost import gpt_parameters
from utils.studies.scaling_runs import BATCH_SIZE, CONTEXT_LENGTH, NUM_LAYERS

EQUAL_COMPUTE = {  # C = 6·N·D: the widths trained at it
    2e9: (8, 12, 16, 24),
    6e9: (8, 12, 16, 24, 32),
    1.8e10: (12, 16, 20, 28, 40),
}


def equal_compute_arms(vocab_size: int) -> dict[str, Recipe]:
    """Return the models of each amount of compute, with as many steps as it pays for.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.

    Returns
    -------
    arms : dict
        The recipes by the names "C = …, d = …".
    """
    return {
        f"C = {compute:.1e}, d = {width}": Recipe(
            width=width, steps=affordable_steps(compute, vocab_size, width)
        )
        for compute, widths in EQUAL_COMPUTE.items()
        for width in widths
    }


def affordable_steps(compute: float, vocab_size: int, width: int) -> int:
    """Return the number of steps for which 6·N·D is nearest to the compute; at least one."""
    num_parameters = gpt_parameters(vocab_size, width=width, num_layers=NUM_LAYERS)
    return max(1, round(compute / (6 * num_parameters * BATCH_SIZE * CONTEXT_LENGTH)))


TUNED_PARTS: dict[str, dict[str, Recipe]] = {
    "batches": {
        "small batches": Recipe(width=32, steps=160),
        "large batches": Recipe(width=32, steps=40, batch_size=32),
    },
    "experts": {"four experts": Recipe(width=32, steps=160, num_experts=4)},  # see "small batches"
}
PARTS = ("grid", "equal compute", *TUNED_PARTS)
