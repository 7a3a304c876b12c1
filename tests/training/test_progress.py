"""What the progress bar shows: the mean of recent losses, and the speed."""

from types import SimpleNamespace

import pytest

from utils.training.history import History
from utils.training.progress import show_loss


@pytest.mark.parametrize(
    "losses, mean",
    [([4.0], "4.000"), ([1.0, 2.0], "1.500"), ([9.0] * 7 + [1.0, 4.0] * 25, "2.500")],
)
def test_the_bar_shows_the_mean_of_the_last_fifty_losses_and_the_speed(losses, mean):
    texts = []
    history = History(losses=losses, num_tokens=3000, seconds=2.0)
    show_loss(SimpleNamespace(set_postfix_str=texts.append), SimpleNamespace(history=history))
    assert texts == [f"loss {mean}, 1,500 tokens/s"]
