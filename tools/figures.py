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
COLUMN_LEFT, COLUMN_STEP = 114, 144


def draw_contract() -> Picture:
    """Draw one call with T tokens, and T calls with one token: the same distributions."""
    picture = Picture(640, 612, "One call with T tokens, or T calls with one token")
    one_call, many_calls = 180, 500  # the upper edges of the models
    picture.text(20, 28, "training: one call", 18, anchor="start", fill=BLUE, bold=True)
    picture.text(620, 28, "ids (1, 4) → logits (1, 4, V)", 15, anchor="end", mono=True)
    for y, name in [(62, "−log p"), (89, "p(label)"), (116, "label")]:
        picture.text(20, y, name, 16, anchor="start", fill=SOFT_INK)
    picture.box(50, one_call, 560, MODEL_HEIGHT, stroke=BLUE, fill=TINT[BLUE])
    picture.text(330, one_call + 23, "model", 19, mono=True)
    picture.line("M20 318H170", RULE, 1)
    picture.text(320, 318, "the same four distributions", fill=SOFT_INK)
    picture.line("M470 318H620", RULE, 1)
    picture.text(20, 354, "decoding: four calls", 18, anchor="start", fill=GREEN, bold=True)
    picture.text(
        620, 354, "ids (1, 1), state → logits (1, 1, V), state", 15, anchor="end", mono=True
    )
    picture.line("M24 390H60", INK, 2, arrow=True, dashed=True)
    picture.text(70, 390, "chosen, and read next", 15, anchor="start", fill=SOFT_INK)
    picture.line("M262 390H298", RED, 3, arrow=True)
    picture.text(308, 390, "state", 15, anchor="start", fill=SOFT_INK)
    for i in range(4):
        x = COLUMN_LEFT + COLUMN_STEP * i
        picture.box(x - 44, many_calls, 88, MODEL_HEIGHT, stroke=GREEN, fill=TINT[GREEN])
        picture.text(x, many_calls + 23, "model", mono=True)
        history = "BOS" if i == 0 else f"… {TOKENS[i]}"
        for top in (one_call, many_calls):
            _draw_call(picture, x, top, token=TOKENS[i], history=history)
        picture.text(x, 62, f"{-math.log(PROBABILITIES[i]):.2f}", 16)
        picture.text(x, 89, f"{PROBABILITIES[i]:g}", 16)
        picture.text(x, 116, TOKENS[i + 1], 18, bold=True)
        picture.text(x, many_calls - 72, TOKENS[i + 1], 18, bold=True)
        if i < 3:
            picture.line(f"M{x + 44} {many_calls + 23}H{x + COLUMN_STEP - 46}", RED, 3, arrow=True)
            middle, bottom = x + COLUMN_STEP // 2, many_calls + MODEL_HEIGHT + 42
            path = f"M{x + 26} {many_calls - 72}H{middle}V{bottom}H{x + COLUMN_STEP - 28}"
            picture.line(path, arrow=True, dashed=True)
    return picture


def _draw_call(picture: Picture, x: int, top: int, *, token: str, history: str) -> None:
    """Draw a token below a model with its upper edge at `top`, and its distribution above."""
    bottom = top + MODEL_HEIGHT
    picture.text(x, bottom + 42, token, 18, bold=True)
    picture.line(f"M{x} {bottom + 28}V{bottom + 2}", arrow=True)
    picture.line(f"M{x} {top}V{top - 22}", arrow=True)
    picture.text(x, top - 36, f"p(· | {history})", 16)


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
