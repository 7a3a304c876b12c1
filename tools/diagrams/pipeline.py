"""Diagram of pipeline parallelism: two schedules of one batch."""

from __future__ import annotations

from tools.diagrams.canvas import each_part
from tools.diagrams.palette import Meaning
from tools.diagrams.vocabulary import Diagram
from utils.studies.pipeline import Order, Step, pipeline_schedule

STAGES, MICRO_BATCHES = 3, 4
TICK, STAGE = 26.0, 34.0  # width and height of a cell
LEFT = 82.0  # of the first tick


def pipeline_parallel() -> Diagram:
    """Draw GPipe and 1F1B with three stages over time, forward and backward."""
    d = Diagram(
        "pipeline-parallel",
        "Pipeline parallelism: two schedules",
        "Two tables, each with a row for each of three stages, the first layers at the bottom, and "
        "a column for each of twelve ticks of time. The batch is cut into four micro-batches, 0 to "
        "3. GPipe, above: all four go forward, each stage one tick after the stage below, then "
        "their gradients come back in the same way from stage 2 down to stage 0. 1F1B, below: "
        "stage 2 runs forward and backward passes in turn from its first tick, stage 1 after one "
        "more forward pass, stage 0 after two more. In both, each stage is idle for four of twelve "
        "ticks, the empty cells.",
        variants=each_part("gpipe", "1f1b"),
    )
    with d.part("gpipe"):
        _table(d, 42, "GPipe: all forward passes first", "gpipe")
    with d.part("1f1b"):
        _table(d, 196, "1F1B: forward and backward in turn", "1f1b")
    bottom = 196 + STAGES * STAGE
    num_ticks = 2 * (STAGES + MICRO_BATCHES - 1)
    d.arrow((LEFT + 2, bottom + 30), (LEFT + num_ticks * TICK - 2, bottom + 30))
    d.note(LEFT + num_ticks * TICK / 2, bottom + 46, "time, in ticks")
    legend: tuple[tuple[Meaning, str], ...] = (("layer", "forward"), ("loss", "backward"))
    d.note(LEFT, bottom + 74, "micro-batch 0", anchor="start")
    for i, (meaning, name) in enumerate(legend):
        x = LEFT + (4.5 + 4 * i) * TICK
        d.box(x, bottom + 74, 24, "0", meaning, height=24)
        d.note(x + 20, bottom + 74, name, anchor="start")
    return d


def _table(d: Diagram, top: float, title: str, order: Order) -> None:
    """Draw a schedule with a row for each stage, the last at the top."""
    schedule = pipeline_schedule(num_stages=STAGES, num_micro_batches=MICRO_BATCHES, order=order)
    middle = LEFT + len(schedule[0]) * TICK / 2
    d.text(middle, top - 16, title, bold=True)
    for stage, row in enumerate(schedule):
        y = top + (STAGES - stage - 0.5) * STAGE
        d.text(8, y, f"stage {stage}", anchor="start")
        for tick, step in enumerate(row):
            _cell(d, LEFT + (tick + 0.5) * TICK, y, step)
    for tick in range(len(schedule[0])):
        d.note(LEFT + (tick + 0.5) * TICK, top + STAGES * STAGE + 12, str(tick + 1))


def _cell(d: Diagram, x: float, y: float, step: Step | None) -> None:
    """Draw what a stage does at a tick; nothing is an empty cell."""
    if step is None:
        d.frame(x - TICK / 2 + 1, y - STAGE / 2 + 2, x + TICK / 2 - 1, y + STAGE / 2 - 2)
    else:
        meaning: Meaning = "layer" if step.direction == "forward" else "loss"
        d.box(x, y, TICK - 2, str(step.micro_batch), meaning, height=STAGE - 4)
