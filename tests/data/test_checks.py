"""Checks and conversions of token ids and of texts."""

import numpy as np
import pytest
import torch

from utils.data.checks import (
    as_id_list,
    as_id_tensor,
    check_ids_in_vocabulary,
    check_text,
    is_integer_tensor,
)


def test_ids_count_from_0():
    assert as_id_list([0, 5]) == [0, 5] and as_id_list([]) == []
    with pytest.raises(ValueError, match="labels count from 0; got -100"):
        as_id_list([3, -100, -1], name="labels")


def test_ids_become_a_tensor_of_int64():
    for ids in ([4, 5], (4, 5), torch.tensor([4, 5]).byte(), np.array([4, 5], dtype=np.int16)):
        tensor = as_id_tensor(ids)
        assert tensor.dtype == torch.long and tensor.tolist() == [4, 5]
    for empty in ([], torch.tensor([]), np.array([])):
        assert as_id_tensor(empty).dtype == torch.long and as_id_tensor(empty).tolist() == []
    assert as_id_tensor(torch.ones(2, 3, dtype=torch.long)).shape == (2, 3)


def test_a_tensor_of_a_read_only_array_is_a_copy():
    """Such as that of a file in memory: writing to it would end the process."""
    ids = np.array([4, 5])
    assert np.shares_memory(as_id_tensor(ids).numpy(), ids), "an array is not copied"
    ids.flags.writeable = False
    tensor = as_id_tensor(ids)
    assert tensor.tolist() == [4, 5] and not np.shares_memory(tensor.numpy(), ids)


@pytest.mark.parametrize("ids", [torch.tensor([2.0]), np.array([2.5]), torch.tensor([True]), [2.0]])
def test_a_tensor_of_ids_holds_integers_alone(ids):
    with pytest.raises(ValueError, match="labels must be integers; got"):
        as_id_tensor(ids, name="labels")
    with pytest.raises(ValueError, match="labels are too large for int64"):
        as_id_tensor([2**70], name="labels")


def test_ids_lie_in_the_vocabulary():
    for make in (list, iter, np.array, torch.tensor, lambda ids: np.array([ids])):
        check_ids_in_vocabulary(make([0, 4]), 5)
        for wrong in (-1, 5):
            with pytest.raises(ValueError, match=rf"ids \[{wrong}\] lie outside .* of 5 tokens"):
                check_ids_in_vocabulary(make([0, wrong]), 5)


def test_ids_of_an_unknown_vocabulary_count_from_0():
    for make in (list, iter, np.array, torch.tensor):
        check_ids_in_vocabulary(make([0, 2**62]))
        with pytest.raises(ValueError, match="labels count from 0; got -100"):
            check_ids_in_vocabulary(make([3, -1, -100]), name="labels")


def test_a_bool_is_not_an_integer():
    integers = (torch.uint8, torch.int32, torch.int64, torch.uint64)
    assert all(is_integer_tensor(torch.zeros(2, dtype=dtype)) for dtype in integers)
    others = (torch.bool, torch.bfloat16, torch.float64, torch.complex64)
    assert not any(is_integer_tensor(torch.zeros(2, dtype=dtype)) for dtype in others)


def test_a_lone_surrogate_is_named_with_its_position():
    check_text("a \U0001f642")
    with pytest.raises(ValueError, match=r"surrogate '\\udc00' at position 2") as caught:
        check_text("ab\udc00")
    str(caught.value).encode()  # the message itself can be printed anywhere


def test_unsigned_ids_beyond_int64_are_refused_and_others_kept():
    for make in (
        lambda numbers: np.array(numbers, dtype=np.uint64),
        lambda numbers: torch.tensor(numbers, dtype=torch.uint64),
    ):
        assert as_id_tensor(make([4, 2**63 - 1])).tolist() == [4, 2**63 - 1]
        with pytest.raises(ValueError, match=f"labels are too large for int64: .* {2**63 + 5}$"):
            as_id_tensor(make([4, 2**63 + 5]), name="labels")


def test_arrays_of_objects_hold_integers_or_are_refused():
    assert as_id_tensor(np.array([4, 5], dtype=object)).tolist() == [4, 5]
    assert as_id_tensor(np.array(5)).shape == ()
    for wrong in ([4, None], [4, 2.5], [4, "5"]):
        with pytest.raises(ValueError, match="labels must be integers; got"):
            as_id_tensor(np.array(wrong, dtype=object), name="labels")
    for complex_ids in (np.array([1j]), torch.tensor([1j])):
        with pytest.raises(ValueError, match=r"must be integers; got a.* (torch\.)?complex"):
            as_id_tensor(complex_ids)
