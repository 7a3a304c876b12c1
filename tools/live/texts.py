"""The texts of the live boxes' examples, which the Chinese edition translates where they stand.

`tools.live.examples` and the modules of single boxes write them; ``{}`` stands for what a model
made.
"""

_SAMPLING = (
    "Temperature {}, top-p {}, seed {}; the most probable next pieces with the probabilities of "
    "each model, and its text:"
)
_LEGEND = (
    "A column is a step, with its hypotheses from the most probable down; below each piece, log p "
    "up to there. Dashed and grey: given up. Round: ended, with its rank. Bold: the best."
)
TEXTS = (
    "Write with an n-gram",
    "A text in pieces",
    "One prompt, three models",
    "Attention, word by word",
    "Beam search and its tree",
    "The heads of a GPT",
    "A sentence about a film, judged",
    "After {} the 5-gram expects, with these probabilities:",
    "It writes on:",
    "{} has {} characters, {} bytes, {} pieces; below each, its id:",
    _SAMPLING,
    "Counts (n = {})",
    "Weights of attention",
    "Piece",
    "end",
    "Greedy search",
    "Beam search",
    "Beam search, the best hypotheses",
    "Rank",
    "Translation",
    "Pieces",
    "Score",
    "The tree of hypotheses",
    "The tree of hypotheses, drawn; the list after it says the same",
    _LEGEND,
    "rank {}",
    "given up",
    "ends, rank {}",
    "ends, not among the best",
    "{} pieces, {} bits for each after the first, with all heads.",
    "Without a head: change of the loss in bits per piece",
    "Layer {}, head {}: from the piece of each row to those before it",
    "Layer {}",
    "Head {}",
    "praise {}",
)
