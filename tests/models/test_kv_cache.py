"""The cache of keys and values of one attention layer."""

import torch

from tests.helpers.tensors import randn, same
from utils.decoding.model_state import select_rows
from utils.models.kv_cache import KVCache

B, H = 3, 2


def test_a_cache_grows_slides_and_can_be_reordered():
    keys, values = randn(2, B, H, 4, 2)
    new_keys, new_values = randn(2, B, H, 3, 2)
    cache = KVCache(keys, values)
    longer = cache.extended(new_keys, new_values)
    assert same(longer.keys, torch.cat([keys, new_keys], 2))
    assert same(longer.values[:, :, 4:], new_values) and same(longer.values[:, :, :4], values)
    assert cache.keys.shape[2] == 4, "the cache that was extended stays as it was"
    assert same(longer.last(2).values, new_values[:, :, 1:])
    assert same(longer.last(2).keys, new_keys[:, :, 1:])
    assert longer.last(0).keys.shape[2] == 0 and longer.last(99).keys.shape[2] == 7
    selected = select_rows(cache, torch.tensor([2, 0]))
    assert isinstance(selected, KVCache) and same(selected.values, values[[2, 0]])
    assert same(selected.keys, keys[[2, 0]])
