"""Rewinding a GPT: the earlier state, and what is refused."""

import pytest
import torch

from tests.helpers.tensors import randomize_weights
from utils.models.gpt import GPT
from utils.models.gpt_rewind import rewind_gpt

IDS = torch.tensor([[4, 5, 6, 7, 8, 9]])


def make_gpt(**options):
    torch.manual_seed(0)
    model = GPT(12, width=16, num_layers=2, num_heads=2, context_length=8, **options).double()
    return randomize_weights(model).eval()


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_model_goes_on_as_if_it_had_not_read_the_tokens(count):
    model = make_gpt()
    state = rewind_gpt(model(IDS)[1], count)
    kept = IDS[:, : IDS.shape[1] - count]
    for ids in (torch.tensor([[3]]), torch.tensor([[3, 10]])):
        expected = model(torch.cat([kept, ids], 1))[0][:, -ids.shape[1] :]
        assert torch.allclose(model(ids, state)[0], expected)


def test_what_cannot_be_rewound_is_refused():
    model = make_gpt()
    with pytest.raises(ValueError, match="6 tokens were read"):
        rewind_gpt(model(IDS)[1], 7)
    with pytest.raises(ValueError, match="has slid"):
        rewind_gpt(model(torch.cat([IDS, IDS], 1))[1], 1)
    with pytest.raises(ValueError, match="n-gram vectors"):
        rewind_gpt(make_gpt(ngram_table_sizes=(144,))(IDS)[1], 1)
    with pytest.raises(ValueError, match="count must be"):
        rewind_gpt(model(IDS)[1], -1)
