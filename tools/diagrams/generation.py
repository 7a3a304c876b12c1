"""Diagrams of text generation: the loop that chooses tokens, and speculative decoding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tools.diagrams.canvas import each_part
from tools.diagrams.vocabulary import Diagram

WORDS = ("comes", "is", "and", "sleeps", "owl", "the")
TARGET = (0.40, 0.22, 0.16, 0.12, 0.06, 0.04)  # their probabilities, as in section 6.2
KEPT = 3  # words


def generation() -> Diagram:
    """Draw the loop of generation: model, distribution, rule, draw, and back."""
    d = Diagram(
        "generation",
        "Text generation as a loop",
        "From bottom to top: the text so far, a king, enters the model, which gives logits; they "
        "become a distribution p over six words, from comes with 0.40 to the with 0.04. A rule "
        "makes q of it: the last three words lose their probability, and the first three gain; "
        "comes has 0.51. One word, comes, is drawn at random and appended to the text, and the "
        "loop begins again.",
        variants=each_part("model", "rule"),
    )
    x = 152.0
    with d.part("model"):
        first, last = d.token(x - 26, 440, "a"), d.token(x + 22, 440, "king")
        model = d.box(x, 374, 176, "language model", "layer")
        d.arrow(first.top, (first.x, model.bottom[1]))
        d.arrow(last.top, (last.x, model.bottom[1]))
        _distribution(d, x, 300, TARGET)
        d.arrow(model.top, (x, 324), label="logits (B, V)")
        d.note(x + 122, 284, "softmax: $p$", anchor="start")
    with d.part("rule"):
        rule = d.box(x, 216, 176, "rule: top-$k$, top-$p$, …", "plain")
        d.arrow((x, 250), rule.bottom)
        kept = [value if i < KEPT else 0.0 for i, value in enumerate(TARGET)]
        _distribution(d, x, 142, [value / sum(kept) for value in kept])
        d.arrow(rule.top, (x, 166))
        d.note(x + 122, 126, "$q$", anchor="start")
        drawn = d.token(x, 34, "comes", meaning="output")
        d.arrow((x, 84), drawn.bottom, label="draw")
    d.arrow(drawn.right, (372, 34), (372, 440), (last.right[0], 440), dashed=True)
    d.note(366, 352, "append", anchor="end")
    return d


def _distribution(d: Diagram, x: float, baseline: float, values: Sequence[float]) -> None:
    """Draw the six words under bars with their probabilities."""
    for i, (word, value) in enumerate(zip(WORDS, values, strict=True)):
        middle = x + (i - 2.5) * 39
        d.bars([middle], baseline, [value], full=80, colour="output" if value else "faint")
        d.note(middle, baseline - value * 80 - 9, f"{value:.2f}")
        d.note(middle, baseline + 12, word, colour="ink")


def speculative() -> Diagram:
    """Draw one round of speculative decoding."""
    d = Diagram(
        "speculative",
        "One round of speculative decoding",
        "From top to bottom. After king, a draft model proposes three tokens one after the other: "
        "comes, to, and die. One call of the target model reads king and the three proposals and "
        "gives the distributions p₁ to p₄, each of the token that follows. Comes is checked by p₁ "
        "and accepted, to by p₂; die is rejected and replaced by a token drawn from what p₃ has "
        "more than the draft's distribution: court. The round has written three tokens with one "
        "call of the target.",
        variants=each_part("draft", "target", "check"),
    )
    xs = (98.0, 184.0, 264.0, 344.0)
    proposals = ("comes", "to", "die")
    with d.part("draft"):
        d.text(8, 30, "draft", anchor="start", bold=True)
        last = d.token(xs[0], 30, "king")
        boxes = [d.token(x, 30, word) for x, word in zip(xs[1:], proposals, strict=True)]
        for left, right in pairwise([last, *boxes]):
            d.arrow(left.right, right.left)
        d.note(8, 52, "3 calls", anchor="start")
    with d.part("target"):
        d.text(8, 126, "target", anchor="start", bold=True)
        d.note(8, 148, "1 call", anchor="start")
        model = d.box(224, 126, 312, "reads all four, $T$ = 4", "layer")
        for box in (last, *boxes):
            d.arrow(box.bottom, (box.x, model.top[1]))
        for i, x in enumerate(xs):
            d.arrow((x, model.bottom[1]), (x, 190))
            d.note(x, 202, f"$p_{i + 1}$")
    with d.part("check"):
        d.text(8, 262, "check", anchor="start", bold=True)
        for x, word in zip(xs[:2], proposals, strict=False):
            token = d.token(x, 262, word, meaning="layer")
            d.arrow((x, 216), token.top)
        rejected = d.token(xs[2], 262, "die", meaning="loss")
        d.arrow((xs[2], 216), rejected.top)
        new = d.token(xs[2], 330, "court", meaning="output")
        d.arrow(rejected.bottom, new.top, label="draw anew")
        d.legend(24, 376, "accepted", "layer")
        d.legend(134, 376, "rejected", "loss")
        d.legend(240, 376, "drawn anew", "output")
    return d
