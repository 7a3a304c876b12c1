"""The files of a stored model: half precision, shared matrices, and what is refused."""

import pytest
import torch
from torch import nn

from utils.models.stored_files import (
    Description,
    find_model_files,
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
