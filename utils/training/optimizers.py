"""Optimizers for `fit`: AdamW, and Muon for the matrices of linear layers.

Section 3.1 derives AdamW (Loshchilov and Hutter 2019) and Muon (Jordan et al. 2024). Each
optimizer is built by a function of the model and its `TrainConfig`, so that the loop need not know
which parameters it treats how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from utils.arguments import check_number
from utils.training.config import TrainConfig

OptimizerFactory: TypeAlias = Callable[[nn.Module, TrainConfig], torch.optim.Optimizer]


def adamw(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Build AdamW, with weight decay on matrices but not on biases and gains.

    Source: ``eq-training-adamw`` (section 3.1); Loshchilov and Hutter 2019.

    Parameters
    ----------
    model
        The model to train.
    config
        Its configuration.

    Returns
    -------
    optimizer : torch.optim.AdamW
        AdamW with one group of parameters with weight decay and one without.
    """
    groups = _decay_groups(_trainable(model.parameters()), config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)


def muon(
    model: nn.Module, config: TrainConfig, *, lr_scale: float = 2.0, momentum: float = 0.95
) -> Muon:
    """Build Muon for the matrices of linear layers and AdamW for all other parameters.

    The others are embeddings, output matrices, biases and gains, and the parameters of recurrent
    and convolutional layers. An output layer names its matrix by a method `output_parameters`.

    Parameters
    ----------
    model
        The model to train.
    config
        Its configuration; `learning_rate` is AdamW's.
    lr_scale
        Muon's learning rate as a multiple of AdamW's, a positive number.
    momentum
        Muon's momentum, from 0 to below 1.

    Returns
    -------
    optimizer : Muon
        The optimizer, which needs whole matrices: it cannot train shards.

    Raises
    ------
    ValueError
        If `lr_scale` is not a positive number, the momentum not one from 0 to below 1, or the model
        has no such matrix to train.

    Examples
    --------
    >>> from utils.models.gpt import GPT
    >>> from utils.training.config import TrainConfig
    >>> from utils.training.optimizers import muon
    >>> optimizer = muon(GPT(50, width=32, num_layers=2), TrainConfig())
    >>> for group in optimizer.param_groups:
    ...     print(group["orthogonal"], [tuple(p.shape) for p in group["params"]])
    False [(50, 32)]
    False [(32,), (32,), (32,), (32,), (32,)]
    True [(32, 32), (32, 32)]
    True [(32, 128), (32, 128)]
    True [(96, 32), (96, 32)]
    True [(128, 32), (128, 32)]
    """
    check_number(above=0, lr_scale=lr_scale)
    check_number(minimum=0, below=1, momentum=momentum)
    outer = _embeddings_and_outputs(model)
    matrices = list(
        dict.fromkeys(  # once for each matrix, which several layers may share
            module.weight
            for module in model.modules()
            if isinstance(module, nn.Linear)
            and module.weight.requires_grad
            and id(module.weight) not in outer
        )
    )
    if not matrices:
        raise ValueError(
            f"{type(model).__name__} has no linear layer to train with muon besides its output: "
            "expected adamw"
        )
    inner = {id(matrix) for matrix in matrices}
    others = [
        parameter for parameter in _trainable(model.parameters()) if id(parameter) not in inner
    ]
    groups = _decay_groups(others, config.weight_decay)
    for shape in sorted({matrix.shape for matrix in matrices}):
        groups.append(
            {
                "params": [matrix for matrix in matrices if matrix.shape == shape],
                "weight_decay": config.weight_decay,
                "lr_scale": lr_scale,
                "orthogonal": True,
                "momentum": momentum,
            }
        )
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    return Muon(groups, lr=config.learning_rate, betas=config.betas, fused=on_cpu or None)


OptimizerName: TypeAlias = Literal["adamw", "muon"]
"""The name of an optimizer."""

OPTIMIZERS: dict[OptimizerName, OptimizerFactory] = {"adamw": adamw, "muon": muon}


class Muon(torch.optim.AdamW):
    """AdamW, except for parameter groups with "orthogonal": True, whose steps are orthogonal.

    Such a group holds matrices of one shape, which are orthogonalized together, and has a
    "momentum". All singular values of a step are then near 1, so that rare directions are learned
    as fast as common ones. A group that does not say whether it is one is one if it has a momentum,
    as in checkpoints of earlier versions; all others are AdamW's.

    Source: ``eq-training-muon`` (section 3.1); Jordan et al. 2024.

    Parameters
    ----------
    *arguments, **options
        Arguments of `torch.optim.AdamW`, of which the matrices use lr, weight_decay and maximize.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        fused = options.pop("fused", None)
        super().__init__(*arguments, **options)
        # fused by its groups: where the optimizer itself is, a GradScaler leaves it to the kernel
        # of AdamW to unscale gradients and to skip steps, and the matrices do not pass that kernel
        self.defaults["fused"] = fused
        for group in self.param_groups:
            group["fused"] = fused
        self._mark_groups()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state; torch calls this when it loads one."""
        set_state: Callable[..., None] = super().__setstate__
        set_state(state)
        self._mark_groups()

    def _mark_groups(self) -> None:
        """Let each group say whether its steps are orthogonal."""
        for group in self.param_groups:
            group.setdefault("orthogonal", "momentum" in group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure
            A function that computes the loss and its gradients again, called before the step.

        Returns
        -------
        loss : Any
            What `closure` returned; None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in groups:
            if group["orthogonal"]:
                self._orthogonal_step(group)
        self.param_groups = [group for group in groups if not group["orthogonal"]]  # AdamW's
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        """Step the matrices of one group that have gradients."""
        matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
        if not matrices:
            return
        momentum = group["momentum"]
        directions = []
        for matrix in matrices:
            state = self.state[matrix]
            if not state:  # AdamW looks for "step" when it loads a state
                state.update(step=torch.tensor(0.0), momentum_buffer=torch.zeros_like(matrix))
            gradient = -matrix.grad if group["maximize"] else matrix.grad
            mean = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
            directions.append(gradient.lerp(mean, momentum))  # Nesterov momentum
        steps = orthogonalize(torch.stack(directions))  # (number of matrices, rows, columns)
        rows, columns = matrices[0].shape
        rate = group["lr"] * max(1, rows / columns) ** 0.5
        for matrix, step in zip(matrices, steps, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=rate)


# Coefficients (a, b, c) of a σ + b σ³ + c σ⁵, one polynomial for each iteration. Each is the best
# one for the singular values that the iterations before it leave of [0.01, 1].
POLYNOMIALS = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)


def orthogonalize(x: torch.Tensor) -> torch.Tensor:
    """Orthogonalize matrices by Newton–Schulz iteration: U Σ Vᵀ becomes about U Vᵀ.

    The iteration divides `x` by its norm and then applies odd polynomials, which act
    on the singular values alone. The three in `POLYNOMIALS`, optimal in the sense of Amsel et al.
    2025, map [0.01, 1] into [0.73, 1.27]. Smaller singular values, of which a square matrix of
    random numbers has some, grow by a factor of 78.3 at most, and may stay near 0.

    Source: ``eq-generation-muon`` (section 6.2); Jordan et al. 2024.

    Parameters
    ----------
    x
        One matrix or several, (…, rows, columns). The sum of a matrix's squares must be finite in
        its dtype: a matrix where it overflows, such as one of 1e20 in single precision, becomes 0.

    Returns
    -------
    orthogonal : torch.Tensor
        Matrices of the same shape.

    Examples
    --------
    >>> import torch
    >>> from utils.training.optimizers import orthogonalize
    >>> x = torch.diag(torch.tensor([1.0, 0.5, 0.1]))
    >>> singular_values = torch.linalg.svdvals(orthogonalize(x))
    >>> ((0.7 < singular_values) & (singular_values < 1.3)).all()
    tensor(True)
    """
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    gram = x @ x.mT  # (…, n, n) with n the smaller side: cheaper to iterate on than x
    identity = torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    polynomials = []  # of the Gram matrix, each (…, n, n); they are multiplied in the end
    for a, b, c in POLYNOMIALS:
        polynomial = a * identity + b * gram + c * gram @ gram
        gram = polynomial @ gram @ polynomial
        polynomials.append(polynomial)
    x = reduce(lambda product, polynomial: polynomial @ product, polynomials) @ x
    return x.mT if is_tall else x


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return the parameters that are trained."""
    return [parameter for parameter in parameters if parameter.requires_grad]


def _decay_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Return at most two parameter groups: matrices with weight decay, and all others without."""
    matrices = [parameter for parameter in parameters if parameter.dim() >= 2]
    others = [parameter for parameter in parameters if parameter.dim() < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _embeddings_and_outputs(model: nn.Module) -> set[int]:
    """Return the ids of the parameter objects of all embeddings and outputs of the model."""
    identities = set()
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            identities.add(id(module.weight))
        output_parameters: Any = getattr(module, "output_parameters", None)
        if output_parameters is not None:
            identities.update(map(id, output_parameters()))
    return identities
