"""Short stand-ins of all corpora, on which a whole benchmark runs in seconds."""

import importlib
import json
from functools import cache, partial

import pytest
import torch

from utils.data import corpora
from utils.data.standins import spoken_digits
from utils.data.standins.pairs import make_pairs
from utils.data.standins.spoken_digits import make_digits
from utils.data.standins.texts import make_reviews, make_text

TEXT_LENGTH = 12_000  # characters
PAIR_SIZES = (120, 10, 12)
REVIEW_SIZES = (160, 20, 20)
TAKES = 10  # of each spoken digit: one tests, one validates
ALL_DIGITS = spoken_digits._all_digits.__wrapped__  # without its cache
PACKAGES = (
    "after_pretraining",
    "attention",
    "bottleneck",
    "characters",
    "compression",
    "interpretability",
    "ladder",
    "memory",
    "optimization",
    "pairings",
    "records",
    "reviews",
    "robustness",
    "scaling",
    "seq2seq",
    "speech",
    "transformer",
    "translation",
    "translation_speed",
)


@cache
def few_digits():
    """All takes of spoken digits, when there are only a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken_digits, "TAKES", TAKES)
        return ALL_DIGITS()


@pytest.fixture
def short_corpora(monkeypatch, offline):
    """Every corpus is the beginning of its stand-in."""
    monkeypatch.setattr(corpora, "make_text", lambda: make_text()[:TEXT_LENGTH])
    monkeypatch.setattr(corpora, "make_pairs", partial(make_pairs, sizes=PAIR_SIZES))
    monkeypatch.setattr(corpora, "make_reviews", partial(make_reviews, REVIEW_SIZES))
    monkeypatch.setattr(spoken_digits, "_all_digits", few_digits)
    monkeypatch.setattr(corpora, "make_digits", partial(make_digits, TAKES))


@pytest.fixture
def run(short_corpora, tmp_path):
    """A function that runs a benchmark as its command does, and returns the file that it wrote."""
    num_threads = torch.get_num_threads()
    out = tmp_path / "new" / "results.json"

    def run(name, *arguments):
        module = f"benchmarks.{name}" + (".__main__" if name in PACKAGES else "")
        importlib.import_module(module).main([*map(str, arguments), f"--out={out}"])
        assert list(out.parent.iterdir()) == [out] and str(out) not in out.read_text()
        return json.loads(out.read_text(encoding="utf-8"))

    yield run
    torch.set_num_threads(num_threads)
