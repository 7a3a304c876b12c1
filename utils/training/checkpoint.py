"""Checkpoint files: one safetensors file with JSON in its header, without pickle.

A checkpoint is written beside its final path and renamed only when it is complete, so that a run
that is killed at any moment leaves a complete checkpoint behind. Section 7.2 explains what a
checkpoint of a training run must hold; ``resuming`` writes exactly that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from utils.files import atomic_file

Tree: TypeAlias = (
    "dict[Any, Any] | list[Any] | tuple[Any, ...] | torch.Tensor | int | float | str | None"
)


def save_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` to the file `path`, completely or not at all.

    The file is complete and on the disk before it is renamed to `path`; until then an earlier
    checkpoint remains there (``utils.files``).

    Parameters
    ----------
    path
        The file; missing folders are created.
    content
        A tree of dicts, lists and tuples, with tensors, numbers, strings, booleans and None as
        leaves. Tensors are stored as safetensors, the rest as JSON.

    Raises
    ------
    ValueError
        If the tree has a named tuple, whose type a file cannot hold.
    """
    tensors: dict[str, torch.Tensor] = {}
    header = {"content": json.dumps(_to_json(content, tensors))}
    with atomic_file(Path(path)) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_checkpoint(
    path: str | Path, *, map_location: str | torch.device = "cpu"
) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    path
        The file.
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
        If the file is not a checkpoint or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            return _from_json(json.loads(file.metadata()["content"]), tensors)
    except Exception as error:
        raise ValueError(f"{path} is not a checkpoint of this book: {error}") from error


def _to_json(tree: Tree, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the tree as JSON values; each tensor moves to `tensors`, and its key replaces it."""
    if isinstance(tree, torch.Tensor):
        key = str(len(tensors))
        # a copy, because safetensors refuses shared memory: tied parameters are stored twice
        tensors[key] = tree.detach().to("cpu", copy=True).contiguous()
        return {"tensor": key}
    if isinstance(tree, dict):
        # pairs, because JSON would turn the optimizer's integer keys into strings
        return {"dict": [[key, _to_json(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        if type(tree) not in (list, tuple):
            raise ValueError(
                f"a checkpoint holds plain lists and tuples, not {type(tree).__name__}: convert it"
            )
        return {type(tree).__name__: [_to_json(value, tensors) for value in tree]}
    return tree


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
