"""The stored example of each live box: raw HTML that stands in a page with or without scripts.

``python -m tools.live examples`` writes them into the pages that have boxes, where each begins with
its first line and ends with END. They are made by the models of the page, with a seed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import torch

from tools.live.catalogue import page_model, tokenizer_of
from tools.live.heads import heads_lines
from tools.live.sentiment import sentiment_lines
from tools.live.text_generation import next_logits, visible_piece, write
from tools.live.translation import attention_lines, beam_lines
from utils.decoding.sampling import SamplingConfig

ROOT = Path(__file__).resolve().parents[2]
END = "</div><!-- live-box -->"
BOX = re.compile(r'<div class="live-box" data-live="(?P<kind>\w+)".*?' + re.escape(END), re.DOTALL)
TITLES = {
    "ngram": "Write with an n-gram",
    "pieces": "A text in pieces",
    "sampling": "One prompt, three models",
    "heads": "The heads of a GPT",
    "attention": "Attention, word by word",
    "beam": "Beam search and its tree",
    "sentiment": "A sentence about a film, judged",
}
NGRAM_PROMPT = "To be, or not to b"
PIECES_TEXT = "Unbelievably, 语言模型 read naïve text. 🙂"
SAMPLING_PROMPT = "KING RICHARD:\nMy lord, I am"
SAMPLING, SEED = SamplingConfig(temperature=0.8, top_p=0.9), 0
NETWORKS = {"gpt-pieces": "GPT", "lstm-pieces": "LSTM", "ngram-pieces": "Counts (n = 3)"}


def make_example(kind: str) -> str:
    """Make a box with its stored example.

    Parameters
    ----------
    kind
        One of the boxes that `TITLES` names.

    Returns
    -------
    html : str
        Lines without an empty one among them, as Markdown requires.
    """
    makers = {
        "ngram": _ngram_lines,
        "pieces": _pieces_lines,
        "sampling": _sampling_lines,
        "heads": heads_lines,
        "attention": attention_lines,
        "beam": beam_lines,
        "sentiment": sentiment_lines,
    }
    title = f'role="group" aria-label="{TITLES[kind]}"'
    lines = [f'<div class="live-box" data-live="{kind}" {title}>', '<div class="live-example">']
    return "\n".join([*lines, *makers[kind](), "</div>", END])


def _ngram_lines() -> Iterator[str]:
    """Yield what the n-gram of characters expects after a prompt, and a continuation."""
    name = "ngram-characters"
    model, tokenizer = page_model(name), tokenizer_of(name)
    ids = tokenizer.encode(NGRAM_PROMPT)
    yield f"<p>After {_piece(NGRAM_PROMPT)} the 5-gram expects, with these probabilities:</p>"
    yield from _distribution(name, next_logits(model, ids).softmax(-1), count=8)
    new_ids = write(model, ids, SamplingConfig(), seed=SEED, length=100)
    yield f"<p>It writes on:</p>{_text(NGRAM_PROMPT, tokenizer.decode(new_ids))}"


def _pieces_lines() -> Iterator[str]:
    """Yield the pieces of a text and their ids."""
    tokenizer = tokenizer_of("tokenizer-pieces")
    ids = tokenizer.encode(PIECES_TEXT)
    size = f"{len(PIECES_TEXT)} characters, {len(PIECES_TEXT.encode())} bytes, {len(ids)} pieces"
    yield f"<p>{_piece(PIECES_TEXT)} has {size}; below each, its id:</p>"
    yield '<ol class="live-pieces">'
    for token in ids:
        piece = _piece(visible_piece(tokenizer, token))
        yield f'<li>{piece} <span class="live-id">{token}</span></li>'
    yield "</ol>"


def _sampling_lines() -> Iterator[str]:
    """Yield the next piece of three models, and what each writes with a temperature and top-p."""
    yield (
        f"<p>Temperature {SAMPLING.temperature}, top-p {SAMPLING.top_p}, seed {SEED}; the most "
        "probable next pieces with the probabilities of each model, and its text:</p>"
    )
    yield '<div class="live-columns">'
    for name, label in NETWORKS.items():
        model, tokenizer = page_model(name), tokenizer_of(name)
        ids = tokenizer.encode(SAMPLING_PROMPT)
        yield f'<div class="live-column"><p class="live-heading">{label}</p>'
        new_ids = write(model, ids, SAMPLING, seed=SEED, length=60)
        continuation = tokenizer.decode([*ids, *new_ids])[len(SAMPLING_PROMPT) :]
        yield _text(SAMPLING_PROMPT, continuation)
        yield from _distribution(name, next_logits(model, ids).softmax(-1), count=6)
        yield "</div>"
    yield "</div>"


def _distribution(name: str, probabilities: torch.Tensor, *, count: int) -> Iterator[str]:
    """Yield a list of the most probable tokens of a model with their probabilities."""
    tokenizer = tokenizer_of(name)
    yield '<ol class="live-distribution">'
    for token in probabilities.argsort(descending=True, stable=True)[:count].tolist():
        p = f"{float(probabilities[token]):.3f}"
        piece = _piece(visible_piece(tokenizer, token))
        yield f'<li>{piece} <meter value="{p}" aria-hidden="true"></meter> {p}</li>'
    yield "</ol>"


def _piece(text: str) -> str:
    """Return a piece of text as HTML."""
    return f'<span class="live-piece">{escape(text)}</span>'


def _text(prompt: str, continuation: str) -> str:
    """Return a prompt and what a model wrote after it as HTML, without an empty line.

    Each line of the model is an element of its own: of one that spans an empty line, axe cannot
    tell what lies behind its text.
    """
    before = escape(prompt).replace("\n", "<br>")
    lines = [
        f'<span class="live-new">{escape(line)}</span>' if line else ""
        for line in continuation.split("\n")
    ]
    return f'<p class="live-text">{before}{"<br>".join(lines)}</p>'


def read_boxes(path: Path) -> dict[str, str]:
    """Return the boxes of a page or a notebook, by kind."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return {match["kind"]: match[0] for match in BOX.finditer(text)}


def pages_with_boxes() -> Sequence[Path]:
    """Return the pages and notebooks that have boxes."""
    paths = [*sorted(ROOT.glob("book/*.md")), *sorted(ROOT.glob("notebooks/*.ipynb"))]
    return [path for path in paths if read_boxes(path)]


def refresh(path: Path) -> None:
    """Write the present examples into the boxes of a page or a notebook.

    Parameters
    ----------
    path
        The file.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        path.write_text(BOX.sub(lambda match: make_example(match["kind"]), text), encoding="utf-8")
        return
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        changed = BOX.sub(lambda match: make_example(match["kind"]), source)
        if changed != source:
            cell["source"] = changed.splitlines(keepends=True)
    content = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(content + "\n", encoding="utf-8")
