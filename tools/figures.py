"""Draw the book's pictures into ``book/_static``: ``python -m tools.figures``.

They are the map of the models (``book/index``), the timeline and the contract
(``book/01-background``), and the logo. Their portrait shape suits a phone, which shows them 350
pixels wide.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.model_map import draw_map
from tools.svg import BLUE, GREEN, INK, ORANGE, RED, SOFT_INK, TINT, Picture
from tools.timeline import draw_timeline
from utils.console import make_output_safe

FOLDER = Path(__file__).resolve().parents[1] / "book" / "_static"

# ---- the contract -------------------------------------------------------------------------------

TOKENS = ["BOS", "a", "dog", "runs", "EOS"]
MODEL_HEIGHT = 46


def draw_contract() -> Picture:
    """Draw one call with T tokens, and T calls with one token: the same distributions."""
    picture = Picture(640, 568, "One call with T tokens, or T calls with one token")
    one_call, many_calls = 134, 396  # the upper edges of the models
    picture.text(20, 28, "training: one call", 18, anchor="start", fill=BLUE, bold=True)
    picture.text(620, 28, "ids (1, 4)", 16, anchor="end", mono=True)
    picture.box(20, one_call, 600, MODEL_HEIGHT, stroke=BLUE, fill=TINT[BLUE])
    picture.text(320, one_call + 23, "model", 19, mono=True)
    picture.text(20, 290, "decoding: four calls", 18, anchor="start", fill=GREEN, bold=True)
    picture.text(620, 290, "ids (1, 1), state", 16, anchor="end", mono=True)
    for i in range(4):
        x = 104 + 144 * i
        picture.box(x - 54, many_calls, 108, MODEL_HEIGHT, stroke=GREEN, fill=TINT[GREEN])
        picture.text(x, many_calls + 23, "model", mono=True)
        for top in (one_call, many_calls):
            _draw_prediction(picture, x, top, token=TOKENS[i], next_token=TOKENS[i + 1])
        if i < 3:
            picture.line(f"M{x + 54} {many_calls + 23}H{x + 90}", RED, 3, arrow=True)
            picture.text(x + 72, many_calls + 6, "state", 13, fill=RED)
    picture.text(320, 537, "the same four distributions", fill=SOFT_INK)
    return picture


def _draw_prediction(picture: Picture, x: int, top: int, *, token: str, next_token: str) -> None:
    """Draw an input token below a model with its upper edge at `top`, and above it what follows."""
    bottom = top + MODEL_HEIGHT
    picture.text(x, bottom + 42, token, 18, bold=True)
    picture.line(f"M{x} {bottom + 28}V{bottom + 2}", arrow=True)
    picture.line(f"M{x} {top}V{top - 24}", arrow=True)
    picture.text(x, top - 40, f"p({next_token} | …)")


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
    main(*(Path(argument) for argument in sys.argv[1:2]))
