"""A GPU or a Mac, pretended: tensors stay with the processor, errors are those of the device.

Within ``with pretended_device("cuda") as device`` each tensor has a pretended device, the CPU or
`device`, and what CUDA ("cuda") or Apple's GPU ("mps") would refuse raises the error that torch
raises there:

- an operation on tensors of two devices, an index or a generator of the other device, a tensor of
  the GPU given to NumPy;
- on mps, numbers in float64, and an operation that torch has no kernel for;
- on cuda, the gradient of a recurrent layer in evaluation mode, for which cuDNN keeps nothing;
- with ``strict_clock``, a look at the clock while the device may still be at work.

Two of torch's modes see everything: `_Api` the calls of Python that name a device, `_Kernels` each
operation that is computed, those inside torch's own functions and of backward passes too. Results
are those of the CPU: speed, rounding and mixed precision are not pretended.
"""

import importlib.util
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

CPU = torch.device("cpu")
ANY = torch.device("meta")  # of a tensor that torch made inside an operation: as its inputs
IN_PLACE = {"copy_", "set_", "lift_fresh"}  # from one device to the memory of another
MIXED = {  # operations on tensors of two devices
    *IN_PLACE,
    "_to_copy",
    "_pack_padded_sequence",
    "_pack_padded_sequence_backward",
    "mkldnn_rnn_layer",
    "_ctc_loss",
}
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}  # by an index on the CPU, too
# operations that take no scalar of another device either
STRICT = {"cat", "stack", "mm", "addmm", "bmm", "index_select", "gather", "scatter", "embedding"}
PROCESSOR_ONLY = ("mkldnn", "for_cpu", "_thnn", "flash")  # parts of names of the CPU's own kernels
RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
KERNELS = "packaged/ATen/native/native_functions.yaml"  # in torchgen, which torch brings along


@contextmanager
def pretended_device(device_type: str, *, strict_clock: bool = False) -> Iterator[torch.device]:
    """Run a block as on a machine with the GPU `device_type`, "cuda" or "mps"."""
    tensors = _Devices(torch.device(device_type, 0))
    with ExitStack() as stack:
        for owner, name, value in _replacements(tensors, strict_clock):
            stack.enter_context(patch.object(owner, name, value))
        stack.enter_context(_Api(tensors))
        stack.enter_context(_Kernels(tensors))
        yield tensors.gpu


@cache
def operations_missing_on_mps() -> frozenset[str]:
    """Names of the operations for which this version of torch has no kernel on mps."""
    spec = importlib.util.find_spec("torchgen")
    assert spec is not None and spec.origin is not None
    entries = {}
    for entry in (
        (Path(spec.origin).parent / KERNELS).read_text(encoding="utf-8").split("\n- func: ")[1:]
    ):
        keys = re.search(r"^  dispatch:\n((?:    .*\n)+)", entry + "\n", re.MULTILINE)
        delegate = re.search(r"^  structured_delegate: (\S+)", entry, re.MULTILINE)
        kernels = keys[1] if keys else "CompositeImplicit"
        entries[entry.split("(")[0]] = kernels, delegate and delegate[1]
    own = {name: entries[delegate or name][0] for name, (_, delegate) in entries.items()}
    return frozenset(x for x in own if not re.search(r"\bMPS\b|Composite", own[x]))


class _Devices:
    """The pretended device of each tensor, remembered by its memory."""

    def __init__(self, gpu: torch.device) -> None:
        self.gpu = gpu
        self.is_mps = gpu.type == "mps"
        self.by_storage: dict[int, tuple[StorageWeakRef, torch.device]] = {}
        self.depth = 0  # of calls of torch whose inner tensors belong to their inputs
        self.backward_depth = 0
        self.is_busy = False  # an operation may still be running

    def of(self, tensor: torch.Tensor) -> torch.device:
        """Return the pretended device of a tensor."""
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            return tensor.device
        entry = self.by_storage.get(tensor.untyped_storage()._cdata)
        return CPU if entry is None else entry[1]

    def put(self, tensor: torch.Tensor, device: torch.device) -> None:
        """Pretend that a tensor is on a device."""
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        # the weak reference keeps the address from being used for other memory
        self.by_storage[storage._cdata] = StorageWeakRef(storage), device
        if len(self.by_storage) > 20_000:
            alive = {k: v for k, v in self.by_storage.items() if not v[0].expired()}
            self.by_storage = alive

    def named(self, device: Any) -> torch.device:
        """Return the device that Python names, with its index."""
        device = torch.device(self.gpu.type if isinstance(device, int) else device)
        return self.gpu if device.type == self.gpu.type else device

    def check_generator(self, kwargs: dict[str, Any], device: torch.device) -> None:
        """Raise if a generator is not on the device of what it draws."""
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != device.type:
            raise RuntimeError(
                f"Expected a '{device.type}' device type for generator but found "
                f"'{generator.device.type}'"
            )

    def check_double(self, results: Any, operation: str) -> None:
        """Raise if a result on mps has numbers of 64 bits."""
        if self.is_mps and any(map(_is_double, _tensors(results))):
            raise TypeError(
                f"Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't "
                f"support float64. Please use float32 instead. ({operation})"
            )


class _Kernels(TorchDispatchMode):
    """Checks each operation that is computed, and hands the device of its inputs on."""

    def __init__(self, devices: _Devices) -> None:
        super().__init__()
        self.devices = devices

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        devices, name = self.devices, func._overloadpacket.__name__
        inputs = _tensors((args, kwargs))
        given = [devices.of(tensor) for tensor in inputs]
        output_device = next((device for device in given if device not in (CPU, ANY)), None)
        if output_device == devices.gpu:
            self._check_kernel(name, func, kwargs)
            if name == "_pack_padded_sequence" and devices.of(args[1]) == devices.gpu:
                raise RuntimeError("'lengths' argument should be a 1D CPU int64 tensor")
            if CPU in given and not devices.backward_depth and name not in MIXED:
                self._check_one_device(name, args, inputs, given)
            devices.is_busy = name != "_local_scalar_dense"  # which waits for the device
        elif output_device is None:
            is_inner = all(device == ANY for device in given) if given else devices.depth > 0
            output_device = ANY if is_inner else CPU
        results = func(*args, **kwargs)
        if name in IN_PLACE or name == "_pack_padded_sequence_backward":
            return results
        outputs = _tensors(results)
        if name == "_pack_padded_sequence":
            outputs = outputs[:1]  # the sizes of the batches stay on the CPU
        if output_device == devices.gpu and not any(map(_is_double, inputs)):
            devices.check_double(outputs, name)
        for tensor in outputs:
            devices.put(tensor, output_device)
        return results

    def _check_kernel(self, name: str, func: Any, kwargs: dict[str, Any]) -> None:
        """Raise if mps has no kernel for the operation, or the generator is on the CPU."""
        full_name = str(func).removeprefix("aten.").removesuffix(".default")
        is_own = any(part in name for part in PROCESSOR_ONLY)
        if self.devices.is_mps and not is_own and full_name in operations_missing_on_mps():
            raise NotImplementedError(
                f"The operator 'aten::{full_name}' is not currently implemented for the MPS device"
            )
        self.devices.check_generator(kwargs, self.devices.gpu)

    def _check_one_device(
        self,
        name: str,
        args: Any,
        inputs: list[torch.Tensor],
        given: list[torch.device],
    ) -> None:
        """Raise if a tensor of the CPU takes part in an operation of the GPU."""
        if name in INDEXED:
            if self.devices.of(args[0]) == CPU:
                raise RuntimeError(
                    "indices should be either on cpu or on the same device as the indexed tensor"
                )
            values = args[2] if len(args) > 2 else None
            if not isinstance(values, torch.Tensor) or not values.dim():
                return
            wrong = [values] if self.devices.of(values) == CPU else []
        else:
            on_cpu = [tensor for tensor, device in zip(inputs, given, strict=True) if device == CPU]
            wrong = [tensor for tensor in on_cpu if tensor.dim() or name in STRICT]
            if name.endswith("_") and given[0] == CPU:  # in place
                wrong = on_cpu
        if wrong:
            shapes = [tuple(tensor.shape) for tensor in wrong]
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{self.devices.gpu} and cpu! ({name}, {shapes})"
            )


class _Api(TorchFunctionMode):
    """Answers what Python asks of devices, and moves tensors between them."""

    def __init__(self, devices: _Devices) -> None:
        super().__init__()
        self.devices = devices

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        devices, name, kwargs = self.devices, getattr(func, "__name__", ""), dict(kwargs or {})
        x = args[0] if args and isinstance(args[0], torch.Tensor) else None
        device = CPU if x is None else devices.of(x)
        attribute = func.__self__.__name__ if name == "__get__" else ""
        if attribute in ("device", "is_cuda", "is_mps", "is_cpu"):
            device = CPU if device == ANY else device
            return device if attribute == "device" else device.type == attribute[3:]
        self._check_array(name, device)
        if x is not None and name in ("to", "cuda", "cpu", "mps"):
            return self._move(name, x, list(args[1:]), kwargs)
        target = None if kwargs.get("device") is None else devices.named(kwargs["device"])
        if target is None and not _tensors((args, kwargs)):
            devices.check_generator(kwargs, CPU)
        elif target is not None and target.type != "meta":
            devices.check_generator(kwargs, target)
            kwargs["device"] = CPU
        results = self._call(func, args, kwargs)
        if name in RECURRENT and device == devices.gpu:
            self._forbid_gradient_in_evaluation(args, results)
        if func is torch.autograd.grad:
            for gradient, tensor in zip(_tensors(results), _tensors(args[1]), strict=False):
                devices.put(gradient, devices.of(tensor))
        if target is None:
            inputs = [devices.of(tensor) for tensor in _tensors((args, kwargs))]
            device = next((device for device in inputs if device not in (CPU, ANY)), CPU)
        self._place(results, target, device, is_copy=attribute == "grad" or name == "__deepcopy__")
        return results

    def _check_array(self, name: str, device: torch.device) -> None:
        """Raise if NumPy is given a tensor of the GPU; a list is copied to the CPU, which waits."""
        if name in ("numpy", "__array__") and device == self.devices.gpu:
            raise TypeError(
                f"can't convert {device} device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        if name == "tolist":
            self.devices.is_busy = False

    def _call(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call the function, and note that it runs."""
        devices = self.devices
        is_backward = func in (torch.autograd.grad, torch.Tensor.backward)
        # a tensor that is made inside belongs to the inputs, or to a function in Python
        is_outer = bool(_tensors((args, kwargs))) or hasattr(func, "__code__")
        devices.depth += is_outer
        devices.backward_depth += is_backward
        try:
            return func(*args, **kwargs)
        finally:
            devices.depth -= is_outer
            devices.backward_depth -= is_backward

    def _place(
        self, results: Any, target: torch.device | None, device: torch.device, *, is_copy: bool
    ) -> None:
        """Pretend that results are on the device that the call named, or that of its inputs."""
        devices = self.devices
        if target is not None and target.type == "meta":
            return
        for tensor in _tensors(results):
            if target is not None:
                devices.put(tensor, target)
            elif is_copy or (devices.of(tensor) == ANY and devices.depth == 0):
                devices.put(tensor, device)
        if target == devices.gpu:
            devices.check_double(results, "a new tensor")

    def _forbid_gradient_in_evaluation(self, args: Any, results: Any) -> None:
        """Let the backward pass of a recurrent layer in evaluation mode raise, as cuDNN's does."""
        is_training = args[6] if isinstance(args[3], bool) else args[7]
        states = results[0]
        if self.devices.is_mps or is_training or not states.requires_grad:
            return

        def refuse(_gradient: torch.Tensor) -> None:
            raise RuntimeError("cudnn RNN backward can only be called in training mode")

        states.register_hook(refuse)

    def _move(self, name: str, x: torch.Tensor, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Copy a tensor to another device, or convert it on its own."""
        devices, here = self.devices, self.devices.of(x)
        target = {"to": here, "cpu": CPU}.get(name, devices.gpu)
        args, kwargs = (args, kwargs) if name == "to" else ([], {})
        for i, argument in enumerate(args):
            if isinstance(argument, torch.device | str | int) and not isinstance(argument, bool):
                target, args[i] = devices.named(argument), CPU
            elif isinstance(argument, torch.Tensor):
                target, args[i] = devices.of(argument), argument.dtype
        if kwargs.get("device") is not None:
            target, kwargs["device"] = devices.named(kwargs["device"]), CPU
        if target.type == "meta":
            return torch.Tensor.to(x, "meta")
        result = x.to(*args, **kwargs)
        if target not in (here, ANY):
            if target == devices.gpu:
                devices.check_double(result, "to")
            result = _Copy.apply(result, devices, here, target)
            devices.is_busy = devices.is_busy and target != CPU  # a copy to the CPU waits
        return result


class _Copy(torch.autograd.Function):
    """The copy of a tensor on another device; its gradient is on the device of the original."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, devices: _Devices, source: torch.device, target: torch.device
    ) -> torch.Tensor:
        ctx.devices, ctx.source = devices, source
        copy = x.clone()
        devices.put(copy, target)
        return copy

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        copy = gradients[0].clone()
        ctx.devices.put(copy, ctx.source)
        return copy, None, None, None


def _replacements(devices: _Devices, strict_clock: bool) -> Iterator[tuple[Any, str, Any]]:
    """Yield what torch reports about its devices, and functions that a mode cannot see."""

    def make_generator(cls: Any, device: Any = "cpu") -> Any:
        generator = generator_class.__new__(cls, "cpu")
        generator.pretended = devices.named(device)
        return generator

    def wait(*_arguments: Any) -> None:
        devices.is_busy = False

    def clock() -> float:
        if strict_clock and devices.is_busy:
            raise AssertionError("the clock is read while the device may still be at work")
        return perf_counter()

    generator_class: Any = torch.Generator
    generator_members = {"__new__": make_generator, "device": property(lambda self: self.pretended)}
    perf_counter, enter_autocast = time.perf_counter, torch.autocast.__init__
    on_cuda, state = not devices.is_mps, torch.zeros(16, dtype=torch.uint8)
    yield torch, "Generator", type("Generator", (generator_class,), generator_members)
    yield time, "perf_counter", clock
    yield torch, "compile", lambda model=None, **_options: model or (lambda function: function)
    yield (
        torch.autocast,
        "__init__",
        lambda self, *_, **__: enter_autocast(self, "cpu", enabled=False),
    )
    yield torch.backends.mps, "is_available", _constant(devices.is_mps)
    yield torch.backends.cudnn, "is_acceptable", _constant(False)  # weights need no joint memory
    answers: dict[str, Any] = {
        "is_available": on_cuda,
        "is_initialized": on_cuda,
        "device_count": int(on_cuda),
        "current_device": 0,
        "is_bf16_supported": True,
        "get_rng_state_all": [state],
        "set_rng_state_all": None,
        "manual_seed_all": None,
    }
    for name, answer in answers.items():
        yield torch.cuda, name, _constant(answer)
    yield torch.cuda, "synchronize", wait
    yield torch.mps, "synchronize", wait
    yield torch.mps, "get_rng_state", _constant(state)
    yield torch.mps, "set_rng_state", _constant(None)
    yield torch.mps, "manual_seed", _constant(None)


def _constant(answer: Any) -> Callable[..., Any]:
    """Return a function of anything that always gives one answer."""
    return lambda *_arguments, **_options: answer


def _tensors(tree: Any) -> list[torch.Tensor]:
    """Return the tensors in a tree of arguments or results."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _is_double(tensor: torch.Tensor) -> bool:
    """Whether the numbers of a tensor have 64 bits after the point."""
    return tensor.dtype in (torch.float64, torch.complex128)
