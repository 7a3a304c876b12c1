"""Diagram of chapter 5: what surrounds the printed lines, and where each test applies."""

from __future__ import annotations

from tools.diagrams.vocabulary import Diagram

LEFT, RIGHT, WIDTH = 118.0, 300.0, 126.0
INPUT, EMBEDDING, NETWORK, LOGITS, RESULT = 392.0, 318.0, 244.0, 170.0, 66.0  # heights
TESTS = {  # where the number of each test stands
    1: (30, EMBEDDING),
    2: (386, INPUT),
    3: (14, 456),
    4: (386, LOGITS),
    5: (30, INPUT),
    6: (386, RESULT),
    7: (30, RESULT),
}


def listing_tests() -> Diagram:
    """Draw the way from a text to a loss and to generated text, with seven numbered tests."""
    d = Diagram(
        "listing-tests",
        "Seven tests around a listing",
        "From bottom to top. A text between BOS and EOS (test 3) becomes inputs, on the left, with "
        "an axis for the batch and one for time (test 5), without EOS, and labels, on the right, "
        "the same words shifted by one, without BOS (test 2). An embedding turns ids into vectors "
        "(test 1). The network and its logits, on a grey ground, are what a listing prints. Logits "
        "and labels enter the loss, which leaves padding out (test 4). On top, the loss on other "
        "text chooses a model (test 6), and text is generated from the model's own words (test 7).",
    )
    d.frame(LEFT - 80, LOGITS - 28, LEFT + 74, NETWORK + 28)
    text = d.token(LEFT, 456, "BOS a dog runs EOS")
    inputs = d.box(LEFT, INPUT, WIDTH, "inputs (B, T)")
    labels = d.box(RIGHT, INPUT, WIDTH, "labels (B, T)")
    d.arrow(text.top, inputs.bottom)
    d.arrow(text.right, (RIGHT, 456), labels.bottom)
    d.note(RIGHT - 8, 436, "without BOS", anchor="end")
    d.note(LEFT - 8, 426, "without EOS", anchor="end")
    embedding = d.box(LEFT, EMBEDDING, WIDTH, "embedding", "embedding")
    network = d.box(LEFT, NETWORK, WIDTH, "network", "state")
    logits = d.box(LEFT, LOGITS, WIDTH, "logits", "output")
    for below, above in ((inputs, embedding), (embedding, network), (network, logits)):
        d.arrow(below.top, above.bottom)
    loss = d.box(RIGHT, LOGITS, WIDTH, "loss", "loss")
    d.arrow(logits.right, loss.left)
    d.arrow(labels.top, loss.bottom)
    generated = d.box(LEFT, RESULT, WIDTH, "generated text")
    choice = d.box(RIGHT, RESULT, WIDTH, "chosen model")
    d.arrow(logits.top, generated.bottom)
    d.arrow(loss.top, choice.bottom)
    d.note(RIGHT + 8, 118, "on other text", anchor="start")
    d.note(LEFT + 8, 118, "word by word", anchor="start")
    d.note(LEFT - 72, 207, "printed", anchor="start")
    for number, (x, y) in TESTS.items():
        d.operation(x, y, str(number))
    return d
