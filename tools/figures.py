"""Draw the book's pictures into ``book/_static``: ``python -m tools.figures``.

They are the map of the models (``book/index``), the timeline and the contract
(``book/01-background``), and the logo. Their portrait shape suits a phone, which shows them 350
pixels wide.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from tools.model_map import draw_map
from tools.svg import BLUE, GREEN, INK, ORANGE, RED, RULE, SOFT_INK, TINT, Picture
from tools.timeline import draw_timeline
from utils.console import make_output_safe

FOLDER = Path(__file__).resolve().parents[1] / "book" / "_static"

# ---- the contract -------------------------------------------------------------------------------

TOKENS = ["BOS", "a", "dog", "runs", "EOS"]
PROBABILITIES = [0.2, 0.05, 0.1, 0.3]  # of the four labels
MODEL_HEIGHT = 46
COLUMN_LEFT, COLUMN_STEP = 104, 132
ASIDE = 24  # of a token read and of the distribution, in decoding, from the middle of a model


def draw_contract() -> Picture:
    """Draw one call with T tokens, and T calls with one token: the same distributions."""
    picture = Picture(640, 560, "One call with T tokens, or T calls with one token")
    one_call, many_calls = 180, 500  # the upper edges of the models
    below = one_call + MODEL_HEIGHT
    picture.text(20, 28, "training: one call", 18, anchor="start", fill=BLUE, bold=True)
    picture.text(620, 28, "ids (1, 4) → logits (1, 4, V)", 15, anchor="end", mono=True)
    for y, name in [(62, "−log p"), (89, "p(label)"), (116, "label")]:
        picture.text(20, y, name, 16, anchor="start", fill=SOFT_INK)
    picture.box(44, one_call, 516, MODEL_HEIGHT, stroke=BLUE, fill=TINT[BLUE])
    picture.text(302, one_call + 23, "model", 19, mono=True)
    picture.line("M20 318H170", RULE, 1)
    picture.text(320, 318, "the same four distributions", fill=SOFT_INK)
    picture.line("M470 318H620", RULE, 1)
    picture.text(20, 354, "decoding: four calls", 18, anchor="start", fill=GREEN, bold=True)
    picture.text(
        620, 354, "ids (1, 1), state → logits (1, 1, V), state", 15, anchor="end", mono=True
    )
    picture.line("M24 386H60", INK, 2, arrow=True, dashed=True)
    picture.text(70, 386, "chosen, and read next", 15, anchor="start", fill=SOFT_INK)
    _draw_state(picture, 262, 298, 386)
    picture.text(308, 386, "state", 15, anchor="start", fill=SOFT_INK)
    for i in range(4):
        x = COLUMN_LEFT + COLUMN_STEP * i
        distribution = "p(· | BOS)" if i == 0 else f"p(· | … {TOKENS[i]})"
        picture.text(x, 62, f"{-math.log(PROBABILITIES[i]):.2f}", 16)
        picture.text(x, 89, f"{PROBABILITIES[i]:g}", 16)
        picture.text(x, 116, TOKENS[i + 1], 18, bold=True)
        picture.text(x, one_call - 36, distribution, 16)
        picture.line(f"M{x} {one_call}V{one_call - 22}", arrow=True)
        picture.text(x, below + 42, TOKENS[i], 18, bold=True)
        picture.line(f"M{x} {below + 28}V{below + 2}", arrow=True)
        _draw_step(picture, x, many_calls, i, distribution)
        if i < 3:
            _draw_state(picture, x + 44, x + COLUMN_STEP - 46, many_calls + MODEL_HEIGHT // 2)
    return picture


def _draw_step(picture: Picture, x: int, top: int, i: int, distribution: str) -> None:
    """Draw one call of decoding: the token read, the model, its distribution, what is chosen."""
    read, given = x - ASIDE, x + ASIDE
    chosen = read + COLUMN_STEP
    picture.box(x - 44, top, 88, MODEL_HEIGHT, stroke=GREEN, fill=TINT[GREEN])
    picture.text(x, top + MODEL_HEIGHT // 2, "model", mono=True)
    picture.text(read, top - 42, TOKENS[i], 18, bold=True)
    picture.line(f"M{read} {top - 28}V{top - 2}", arrow=True)
    picture.line(f"M{given} {top}V{top - 66}", arrow=True)
    picture.text(given, top - 80, distribution, 16)
    path = f"M{given + 30} {top - 66}V{top - 42}H{chosen - 26}"
    picture.line(path, arrow=True, dashed=True)
    if i == 3:
        picture.text(chosen, top - 42, TOKENS[i + 1], 18, bold=True)


def _draw_state(picture: Picture, start: int, end: int, y: int) -> None:
    """Draw an arrow of the state's colour."""
    picture.line(f"M{start} {y}H{end - 12}", RED, 3)
    picture.triangle([(end - 14, y - 7), (end, y), (end - 14, y + 7)], RED)


# ---- the logo -----------------------------------------------------------------------------------

LOGO_BARS = [(44, BLUE), (82, BLUE), (132, ORANGE), (60, BLUE), (30, BLUE)]  # height and colour


def draw_logo() -> Picture:
    """Draw a distribution of the next token, with one outcome drawn from it."""
    picture = Picture(200, 200, "A next-token distribution")
    for i, (height, colour) in enumerate(LOGO_BARS):
        x, y = 25 + 31 * i, 165 - height
        picture.box(x, y, 25, height, stroke=colour, fill=colour, radius=3)
    picture.line("M18 174H182", INK, 5)
    return picture


def main(folder: Path = FOLDER) -> None:
    """Write the four pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "map": draw_map(),
        "timeline": draw_timeline(),
        "contract": draw_contract(),
        "logo": draw_logo(),
    }
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(picture.svg(), encoding="utf-8")


if __name__ == "__main__":
    make_output_safe()
    argparse.ArgumentParser(prog="python -m tools.figures", description=__doc__).parse_args()
    main()
