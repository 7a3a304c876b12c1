"""A model in words, by which a checkpoint knows its own: names, tensors and modules.

The names are those without the wrappers of torch, so that a run of one process can resume a run of
several, or of a compiled model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from utils.torch_internals import COMPILED_PART


def plain_name(model: nn.Module, name: str) -> str:
    """Return the name of a tensor of a model without the prefixes of torch's wrappers.

    ``torch.compile`` adds `COMPILED_PART` and ``DistributedDataParallel`` adds ``module``, to a
    model or to parts of it: "module.output.weight" of a ``state_dict`` becomes "output.weight", its
    name in a checkpoint.
    """
    parts: list[str] = []
    module: Any = model
    for part in name.split("."):
        is_wrapped = isinstance(module, (DataParallel, DistributedDataParallel))
        if part != COMPILED_PART and not (is_wrapped and part == "module"):
            parts.append(part)
        module = getattr(module, part, None)
    return ".".join(parts)


def describe_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the type and the shape of each tensor by its name, such as "float32 (12, 8)"."""
    return {
        name: f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
        for name, x in tensors.items()
    }


def describe_modules(model: nn.Module) -> dict[str, str]:
    """Return what of a model its tensors do not show, such as its heads, dropout and activation.

    Parameters
    ----------
    model
        The model; torch's wrappers around it or its parts are left out.

    Returns
    -------
    description : dict of str to str
        By `plain_name` the class of each module, and its public attributes that are numbers,
        strings or named functions.
    """
    description = {}
    for name, module in model.named_modules():
        is_wrapper = isinstance(module, (DataParallel, DistributedDataParallel))
        if is_wrapper or COMPILED_PART in dict(module.named_children()):
            continue
        module_name = plain_name(model, name)
        prefix = f"{module_name}." if module_name else ""
        description[f"{prefix}class"] = type(module).__name__
        for attribute, value in vars(module).items():
            if attribute == "training" or attribute.startswith("_"):
                continue
            if isinstance(value, (int, float, str)):
                description[prefix + attribute] = repr(value)
            elif isinstance(value, (FunctionType, BuiltinFunctionType)):
                description[prefix + attribute] = value.__name__
    return description
