"""Keys and values of the tokens that an attention layer has read, so that each is computed once.

Built in section 7.3; its memory and its speed are measured in sections 6.2 and 8.1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from utils.models.checks import BATCH, TensorForm, TupleForm
from utils.states import register_state


@register_state
class KVCache(NamedTuple):
    """Keys and values of one attention layer for the tokens read so far.

    A KVCache is never changed in place: `extended` and `last` return a new one.

    Parameters
    ----------
    keys, values
        One vector for each head and token, each (B, H, S, D/H).
    """

    keys: torch.Tensor
    values: torch.Tensor

    def extended(self, keys: torch.Tensor, values: torch.Tensor) -> KVCache:
        """Return the cache of S + T tokens, given keys and values (B, H, T, D/H) of T more."""
        return KVCache(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2))

    def last(self, count: int) -> KVCache:
        """Return the cache of the last `count` tokens, or of all if there are fewer."""
        start = max(0, self.keys.shape[2] - count)
        return KVCache(self.keys[:, :, start:], self.values[:, :, start:])


def cache_form(*, num_heads: int, width: int) -> TupleForm:
    """Return the form of a cache of any number of tokens, for `checks.check_call`."""
    form = TensorForm((BATCH, num_heads, None, width // num_heads))
    return TupleForm(KVCache, (form, form))
