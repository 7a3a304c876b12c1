"""Checkpoint files: one safetensors file with JSON in its header, without pickle.

A checkpoint is written beside its final path and renamed only when it is complete, so that a run
that is killed at any moment leaves a complete checkpoint behind. A checksum of the whole content is
stored with it and compared when it is read: a damaged file raises an error and never yields other
numbers. Section 7.2 explains what a checkpoint of a training run must hold; the module
``checkpoint`` writes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from utils.files import as_path, atomic_file

Tree: TypeAlias = (
    "dict[Any, Any] | list[Any] | tuple[Any, ...] | torch.Tensor | int | float | str | None"
)
_BLOCK_BYTES = 2**20  # read at a time


def write_tensor_file(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` to the file `path`, completely or not at all.

    The file is complete and on the disk before it is renamed to `path`; until then an earlier
    checkpoint remains there (``utils.files``).

    Parameters
    ----------
    path
        The file; missing folders are created, and ``~`` is the home folder.
    content
        A tree of dicts, lists and tuples, with tensors, numbers, strings, booleans and None as
        leaves. Tensors are stored as safetensors, the rest as JSON.

    Raises
    ------
    ValueError
        If the tree has a value of another type, which a file cannot hold, such as a named tuple,
        or a tensor of a type that safetensors lacks, such as complex128.
    OSError
        If the file cannot be written, on a full disk for instance.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from utils.training.tensor_file import read_tensor_file, write_tensor_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_tensor_file(f"{folder}/run", {"step": 3, "weights": [torch.ones(2)]})
    ...     content = read_tensor_file(f"{folder}/run")
    >>> content
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    path = as_path(path)
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_to_json(content, tensors))
    # one entry, because safetensors writes several in any order: equal content gives equal files
    header = {"content": f"{_content_checksum(text, tensors)} {text}"}
    with atomic_file(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=header)
        except SafetensorError as error:
            raise _as_os_error(error, path) from error


def read_tensor_file(
    path: str | Path, *, map_location: str | torch.device = "cpu"
) -> dict[str, Any]:
    """Read what `write_tensor_file` wrote.

    Parameters
    ----------
    path
        The file; ``~`` is the home folder.
    map_location
        The device of the tensors.

    Returns
    -------
    content : dict
        The content that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a checkpoint, or is damaged by as little as a single bit.
    OSError
        If the file cannot be read.
    """
    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = (file.metadata() or {}).get("content", "")
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a checkpoint of this book: {reason}") from error
    checksum, _, text = header.partition(" ")
    if not re.fullmatch("[0-9a-f]{64}", checksum):
        raise ValueError(
            f"{path} is not a checkpoint of this book: it has no checksum; it is damaged, or was "
            "written by another version or program"
        )
    if checksum != _content_checksum(text, tensors):
        raise ValueError(
            f"{path} is damaged: its content does not have the checksum that is stored in it; "
            "delete it, or use a copy of it"
        )
    # copies: tensors of safetensors are views of the file, which a later save may replace
    tensors = {key: x.to(map_location, copy=True) for key, x in tensors.items()}
    content: dict[str, Any] = _from_json(json.loads(text), tensors)
    return content


def file_checksum(path: Path) -> str:
    """Return the SHA-256 checksum of a file as hexadecimal digits."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum.update(block)
    return checksum.hexdigest()


def _content_checksum(text: str, tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 checksum of a text and of the names, types and values of tensors."""
    checksum = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        x = tensors[key]
        checksum.update(f"\n{key} {x.dtype} {tuple(x.shape)}\n".encode())
        checksum.update(x.flatten().view(torch.uint8).numpy().data)
    return checksum.hexdigest()


def _as_os_error(error: SafetensorError, path: Path) -> Exception:
    """Return the error of safetensors as the OSError that it was, if it was one."""
    code = re.search(r"\(os error (\d+)\)", str(error))
    if code is None:
        return ValueError(f"{path} cannot be written: {error}")
    if os.name == "nt":  # a Windows code, not an errno
        return OSError(f"{path} cannot be written: {error}")
    return OSError(int(code[1]), os.strerror(int(code[1])), str(path))


def _to_json(tree: Tree, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the tree as JSON values; each tensor moves to `tensors`, and its key replaces it."""
    if isinstance(tree, torch.Tensor):
        if tree.layout != torch.strided or tree.is_meta or tree.is_quantized:
            raise ValueError("a checkpoint holds dense tensors with values: convert the others")
        if not _is_storable(tree.dtype):
            raise ValueError(f"a checkpoint cannot hold a tensor of {tree.dtype}: convert it")
        key = str(len(tensors))
        # a copy, because safetensors refuses shared memory: tied parameters are stored twice; a
        # copy of all values in a new order, because `contiguous` keeps the strides of one value
        copy = torch.empty(tree.shape, dtype=tree.dtype, device="cpu")
        tensors[key] = copy.copy_(tree.detach())
        return {"tensor": key}
    if isinstance(tree, dict):
        # pairs, because JSON would turn the optimizer's integer keys into strings
        return {"dict": [[_to_key(key), _to_json(x, tensors)] for key, x in tree.items()]}
    if isinstance(tree, (list, tuple)) and type(tree) in (list, tuple):
        return {type(tree).__name__: [_to_json(value, tensors) for value in tree]}
    return _to_key(tree)


@cache
def _is_storable(dtype: torch.dtype) -> bool:
    """Return whether safetensors can write tensors of a type."""
    try:
        save({"x": torch.empty(0, dtype=dtype)})
    except (KeyError, RuntimeError):
        return False
    return True


def _to_key(value: Any) -> Any:
    """Return a value that JSON can represent; raise ValueError for any other."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(
        "a checkpoint holds tensors, numbers and strings in plain dicts, lists and tuples, not "
        f"{type(value).__name__}: convert it"
    )


def _from_json(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the tree that `_to_json` was given."""
    if not isinstance(tree, dict):
        return tree
    ((node_type, value),) = tree.items()
    if node_type == "tensor":
        return tensors[value]
    if node_type == "dict":
        return {key: _from_json(item, tensors) for key, item in value}
    return {"list": list, "tuple": tuple}[node_type](_from_json(item, tensors) for item in value)
