"""The folder in which a command line is run."""

from pathlib import Path

import pytest

from tests.helpers.command_lines import TEXT


@pytest.fixture(autouse=True)
def working_folder(offline, monkeypatch, tmp_path):
    """A folder for what runs leave, with a short text in it."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_text(TEXT, encoding="utf-8")
