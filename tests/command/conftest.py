"""The folder in which a command line is run, and the small corpora that it reads."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.command_lines import TEXT
from utils.command import training_data
from utils.data.corpora import load_pairs


@cache
def load_few_pairs(*arguments, **options):
    """A few sentence pairs of a corpus."""
    corpus = load_pairs(*arguments, **options)
    return replace(corpus, train=corpus.train[:200], valid=corpus.valid[:40])


@pytest.fixture(autouse=True)
def working_folder(offline, monkeypatch, tmp_path):
    """A folder for what runs leave, with a short text in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_data, "load_pairs", load_few_pairs)
    Path("text").write_text(TEXT, encoding="utf-8")
