"""Fixtures of several tests of decoding."""

import pytest
import torch


@pytest.fixture
def seeded():
    """Draw the weights of the models of a test with one seed."""
    torch.manual_seed(0)
