"""The parts of the benchmark beside the grid, and their arms."""

from __future__ import annotations

from benchmarks.scaling.training import Recipe
from utils.models.gpt_cost import gpt_flops, gpt_parameters
from utils.studies.scaling_runs import BATCH_SIZE, CONTEXT_LENGTH, NUM_LAYERS

EQUAL_OPERATIONS = {  # operations of the whole training, all counted: the widths trained at it
    3e9: (4, 8, 12, 16, 24),
    9e9: (8, 12, 16, 24, 32),
    2.7e10: (12, 16, 20, 28, 40),
}
EQUAL_COMPUTE = {  # the same with the short form 6·N·D, which counts too few of a small model's
    2e9: (4, 8, 12, 16, 24),
    6e9: (8, 12, 16, 24, 32),
    1.8e10: (12, 16, 20, 28, 40),
}


def equal_operations_arms(vocab_size: int) -> dict[str, Recipe]:
    """Return the models of each number of operations, with as many steps as it pays for.

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
        f"C = {operations:.1e}, d = {width}": Recipe(
            width=width, steps=_affordable_steps(operations, operations_of_step(vocab_size, width))
        )
        for operations, widths in EQUAL_OPERATIONS.items()
        for width in widths
    }


def equal_compute_arms(vocab_size: int) -> dict[str, Recipe]:
    """Return the models of each amount 6·N·D, with as many steps as it pays for.

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
            width=width, steps=_affordable_steps(compute, _short_form(vocab_size, width))
        )
        for compute, widths in EQUAL_COMPUTE.items()
        for width in widths
    }


def operations_of_step(vocab_size: int, width: int) -> int:
    """Return the operations of a training step: three times those of its forward pass."""
    return 3 * gpt_flops(
        vocab_size,
        width=width,
        num_layers=NUM_LAYERS,
        batch_size=BATCH_SIZE,
        length=CONTEXT_LENGTH,
    )


def _short_form(vocab_size: int, width: int) -> int:
    """Return 6·N·D of a training step."""
    num_parameters = gpt_parameters(vocab_size, width=width, num_layers=NUM_LAYERS)
    return 6 * num_parameters * BATCH_SIZE * CONTEXT_LENGTH


def _affordable_steps(budget: float, of_step: int) -> int:
    """Return the number of steps that cost nearest to the budget; at least one."""
    return max(1, round(budget / of_step))


TUNED_PARTS: dict[str, dict[str, Recipe]] = {
    "batches": {
        "small batches": Recipe(width=32, steps=160),
        "large batches": Recipe(width=32, steps=40, batch_size=32),
    },
    "experts": {"four experts": Recipe(width=32, steps=160, num_experts=4)},  # see "small batches"
}
BALANCE = {  # at the rule's rate, which was also the best one of "four experts"
    "with balance loss": Recipe(width=32, steps=160, num_experts=4),
    "without": Recipe(width=32, steps=160, num_experts=4, balance_weight=0.0),
}
PARTS = ("grid", "equal operations", "rates", "equal compute", "balance", *TUNED_PARTS)
