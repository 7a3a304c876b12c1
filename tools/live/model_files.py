"""The files of a model, as the page loads them: scripts, each a call of ``LiveModels.receive``.

The first file holds the header: the kind of the model, its options, its tokenizer, and the names,
types and shapes of its tensors. The others hold the tensors' bytes in base64, cut into pieces, so
that the page can show progress and stop. They are scripts because a page that is opened from the
file system may load nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.live.quantization import quantize
from utils.files import write_text_atomically

PART_BYTES = 180_000  # of tensors in one file; divisible by 3, so that base64 has no padding inside
MAX_BYTES = 4_000_000  # of all files of a model
INDEX = "models.js"


@dataclass(frozen=True)
class LiveTensor:
    """A tensor of a model, as bytes.

    Parameters
    ----------
    name
        Its name, that of the library's parameter where there is one.
    type
        How its numbers are written: "float32", "int8" with scales, or "varint".
    shape
        Its shape.
    content
        Its bytes.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of_weights(cls, name: str, weights: torch.Tensor) -> LiveTensor:
        """Make the tensor of a parameter: a vector in float32, a matrix as 8-bit integers.

        A filter of a convolution, (inputs, width), becomes a row of such a matrix.
        """
        if weights.dim() == 1:
            return cls(name, "float32", tuple(weights.shape), _bytes(weights.detach(), "<f4"))
        rows = weights.flatten(1)
        shape, (integers, scales) = tuple(rows.shape), quantize(rows)
        return cls(name, "int8", shape, _bytes(integers, "i1") + _bytes(scales, "<f4"))

    @classmethod
    def of_integers(cls, name: str, numbers: np.ndarray) -> LiveTensor:
        """Make the tensor of non-negative integers, which takes one byte for each below 128."""
        return cls(name, "varint", (len(numbers),), encode_varint(numbers))


def _bytes(tensor: torch.Tensor, dtype: str) -> bytes:
    """Return the numbers of a tensor, row by row, in a type of NumPy."""
    return tensor.cpu().numpy().astype(dtype).tobytes()


def encode_varint(numbers: np.ndarray) -> bytes:
    """Write integers with seven bits a byte, the lowest first; the eighth bit: more follow.

    Parameters
    ----------
    numbers
        Integers from 0 to 2³¹ − 1, (N,).

    Returns
    -------
    content : bytes
        From one to five bytes for each.

    Raises
    ------
    ValueError
        If a number is outside this range.
    """
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < 2**31:
        raise ValueError(f"numbers from {numbers.min()} to {numbers.max()}; expected 0 … 2³¹ − 1")
    content = bytearray()
    for number in numbers.tolist():
        rest = number
        while rest >= 128:
            content.append(rest % 128 + 128)
            rest //= 128
        content.append(rest)
    return bytes(content)


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """A model for the page.

    Parameters
    ----------
    kind
        The name of its class in the page's engine.
    options
        The arguments of that class.
    tensors
        Its tensors.
    tokenizer
        Its tokenizer, as values of JSON.
    facts
        What it is, where it comes from and what was measured, as values of JSON.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tensors: Sequence[LiveTensor] = ()
    tokenizer: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def header(self) -> str:
        """Return the header as JSON."""
        tensors = [
            {"name": t.name, "type": t.type, "shape": t.shape, "bytes": len(t.content)}
            for t in self.tensors
        ]
        content = {
            "kind": self.kind,
            "options": dict(self.options),
            "tokenizer": dict(self.tokenizer),
            "tensors": tensors,
        }
        return json.dumps(content, separators=(",", ":"))

    def payload(self) -> bytes:
        """Return the bytes of all tensors."""
        return b"".join(tensor.content for tensor in self.tensors)

    def version(self) -> str:
        """Return the first digits of the hash of header and tensors."""
        return hashlib.sha256(self.header().encode() + self.payload()).hexdigest()[:12]

    def scripts(self, name: str) -> Iterator[str]:
        """Yield the content of each file.

        Parameters
        ----------
        name
            The model's name.

        Yields
        ------
        script : str
            A line of JavaScript.
        """
        payload, call = self.payload(), f'LiveModels.receive("{name}","{self.version()}"'
        yield f"{call},0,{self.header()});\n"
        for number, start in enumerate(range(0, len(payload), PART_BYTES), start=1):
            text = base64.b64encode(payload[start : start + PART_BYTES]).decode()
            yield f'{call},{number},"{text}");\n'


def write_model(name: str, model: LiveModel, folder: Path) -> dict[str, Any]:
    """Write the files of a model, and remove files of an earlier version that are too many.

    Parameters
    ----------
    name
        The model's name.
    model
        The model.
    folder
        The folder of all models.

    Returns
    -------
    description : dict
        What the index says of it: version, bytes of each file, hash of them all, facts.

    Raises
    ------
    ValueError
        If the files are larger than 4 MB.
    """
    scripts = [script.encode() for script in model.scripts(name)]
    sizes = [len(script) for script in scripts]
    if sum(sizes) > MAX_BYTES:
        raise ValueError(f"{name} has {sum(sizes):,} bytes, above {MAX_BYTES:,}")
    for number, script in enumerate(scripts):
        write_text_atomically(folder / f"{name}-{number}.js", script.decode())
    for path in model_files(name, folder)[len(scripts) :]:
        path.unlink()
    return {
        "version": model.version(),
        "parts": sizes,
        "sha256": hashlib.sha256(b"".join(scripts)).hexdigest(),
        "facts": dict(model.facts),
    }


def model_files(name: str, folder: Path) -> list[Path]:
    """Return the files of a model in a folder, in the order in which they are loaded."""
    return sorted(folder.glob(f"{name}-*.js"), key=lambda path: _number(path, name))


def _number(path: Path, name: str) -> int:
    """Return the number of a file of a model, which its name ends with; −1 for another's."""
    number = path.stem.removeprefix(f"{name}-")
    return int(number) if number.isdecimal() else -1


def write_index(descriptions: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write what the pages know of each model before they load it.

    Parameters
    ----------
    descriptions
        The results of `write_model`, by name.
    folder
        The folder of all models.
    """
    text = json.dumps(dict(sorted(descriptions.items())), indent=1, ensure_ascii=False)
    write_text_atomically(folder / INDEX, f"LiveModels.describe({text});\n")


def read_index(folder: Path) -> dict[str, Any]:
    """Read what `write_index` wrote; without a file there are no models."""
    path = folder / INDEX
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return content
