"""Small language models and prompts, for the tests of decoding."""

import torch
from torch import nn

from tests.helpers.tensors import multiply_weights
from utils.data.vocabulary import BOS
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.language_models import RNNLM


def make_lstm(seed, vocab_size):
    """A random LSTM with sharp distributions, in float64."""
    torch.manual_seed(seed)
    model = RNNLM(vocab_size, width=8, cell="lstm")
    return multiply_weights(model.double().eval(), 3)


def make_translator(seed, vocab_size, *, factor, **sizes):
    """A random encoder–decoder with sharp distributions, in float64."""
    torch.manual_seed(seed)
    model = lstm_seq2seq(vocab_size, width=8, **sizes)
    return multiply_weights(model.double().eval(), factor)


def bos(rows=1):
    """A prompt of BOS alone, (rows, 1)."""
    return torch.full((rows, 1), BOS)


class FixedLogits(nn.Module):
    """A language model with the same distribution after every text."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, ids, state=None):
        return self.logits.expand(*ids.shape, -1).clone(), state
