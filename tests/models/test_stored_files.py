"""The files of a stored model: half precision, shared matrices, and what is refused."""

import json

import pytest
import torch
from torch import nn

from utils.data.tokenizers import WordTokenizer
from utils.models.stored_files import (
    TOKENIZER_FILE,
    Description,
    find_model_files,
    models_folder,
    read_model_files,
    write_model_files,
)


class Tied(nn.Module):
    """Two names for one matrix, and a vector."""

    def __init__(self, size):
        super().__init__()
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size, bias=False)
        self.second.weight = self.first.weight


def test_a_shared_matrix_is_stored_once_and_comes_back_shared(tmp_path):
    model = Tied(3)
    description = Description({"size": 3}, {"steps": 7})
    path = write_model_files("a", model, description, file="tied.json", folder=tmp_path)
    assert path == find_model_files("a", "tied.json", kind="pair", folder=tmp_path)
    read, found = read_model_files(path, "tied.json", Tied, kind="pair")
    assert found == description and not read.training
    assert read.second.weight is read.first.weight
    torch.testing.assert_close(read.first.weight, model.first.weight.half().float())


@pytest.mark.parametrize("name", ["b", "../a", ""])
def test_another_name_or_kind_is_refused(name, tmp_path):
    write_model_files("a", Tied(2), Description({"size": 2}, {}), file="tied.json", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no stored pair .*; there are a$"):
        find_model_files(name, "tied.json", kind="pair", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no stored pair 'a'; there are none in "):
        find_model_files("a", "other.json", kind="pair", folder=tmp_path)


@pytest.mark.parametrize("size", [3, "x"])
def test_a_description_of_another_model_is_refused(size, tmp_path):
    path = write_model_files(
        "a", Tied(2), Description({"size": size}, {}), file="tied.json", folder=tmp_path
    )
    with pytest.raises(ValueError, match=r"the stored pair in .*a is damaged \(.*\): get the book"):
        read_model_files(path, "tied.json", Tied, kind="pair")


def stored(tmp_path):
    """The folder of a stored model with a tokenizer."""
    return write_model_files(
        "a",
        Tied(2),
        Description({"size": 2}, {"steps": 7, "rate": 0.5}),
        file="tied.json",
        tokenizer=WordTokenizer.train("a b"),
        folder=tmp_path,
    )


def read(path):
    return read_model_files(path, "tied.json", Tied, kind="pair")


@pytest.mark.parametrize(
    "before, after",
    [
        ('"steps": 7', '"steps": 9'),
        ('"rate": 0.5', '"rate": 0.4'),
        ('"steps"', '"stepz"'),
        ('"checksum"', '"checksuM"'),
        ('"tokenizer_checksum"', '"tokenizer_checksuM"'),
    ],
)
def test_a_description_that_was_changed_is_refused(before, after, tmp_path):
    path = stored(tmp_path)
    text = (path / "tied.json").read_text()
    assert text.count(before) == 1
    (path / "tied.json").write_text(text.replace(before, after))
    with pytest.raises(ValueError, match=r"is damaged \(tied.json .*\): get the book"):
        read(path)


def test_a_tokenizer_that_was_changed_is_refused(tmp_path):
    path = stored(tmp_path)
    tokenizer = path / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"a"', '"c"'))
    with pytest.raises(ValueError, match=r"tokenizer.json does not have the checksum in tied.json"):
        read(path)


def test_a_description_in_another_layout_or_of_an_earlier_version_is_read(tmp_path):
    path = stored(tmp_path)
    description = json.loads((path / "tied.json").read_text())
    (path / "tied.json").write_text(json.dumps(description, indent=4, sort_keys=True))
    assert read(path)[1].facts["steps"] == 7
    del description["checksum"], description["tokenizer_checksum"]
    (path / "tied.json").write_text(json.dumps(description))
    assert read(path)[1].facts["steps"] == 7


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_a_description_that_is_no_description_is_refused(content, tmp_path):
    path = stored(tmp_path)
    (path / "tied.json").write_text(content)
    with pytest.raises(ValueError, match="is damaged"):
        read(path)


@pytest.mark.parametrize("path", sorted(models_folder().glob("*/*.json")), ids=str)
def test_the_models_of_the_book_have_checksums(path):
    if path.name != TOKENIZER_FILE:
        assert {"checksum", "tokenizer_checksum"} <= json.loads(path.read_text("utf-8")).keys()
