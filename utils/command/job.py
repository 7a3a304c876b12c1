"""The job of one command line: a model, its data, its training, and the run's own options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utils.arguments import check_bool, check_choice, check_integer, check_number
from utils.command.catalogue import MODELS, select_arguments, select_model_options
from utils.command.training_data import TrainingData
from utils.files import as_path
from utils.training.config import TrainConfig
from utils.training.distributed import STRATEGIES, Strategy
from utils.training.optimizers import OPTIMIZERS, OptimizerName


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run minimizes and how, where it takes place, and what it starts from and writes.

    Parameters
    ----------
    out
        Folder for checkpoints, tokenizer and weights; runs/MODEL by default. A run that finds a
        checkpoint there resumes from it.
    device
        cuda, mps or cpu; by default the fastest one of this machine.
    strategy
        Strategy of several processes: a copy of the model (data) or a part of it (shard) in each.
    optimizer
        adamw or, for models with linear layers inside, muon.
    label_smoothing
        Probability mass that label smoothing takes from the correct token and spreads over the
        whole vocabulary.
    seed
        Seed of the model's first parameters, of dropout and of the order of the data, from 0 on.
    progress
        Whether to show a progress bar on a terminal.

    Raises
    ------
    ValueError
        If the folder has no name, the optimizer or the strategy is unknown, the optimizer cannot
        work on shards, the label smoothing is not from 0 to 1, the seed is not an integer from 0
        to 2⁶³ − 1, or `progress` is neither True nor False.
    """

    out: str | None = None
    device: str | None = None
    strategy: Strategy = "data"
    optimizer: OptimizerName = "adamw"
    label_smoothing: float = 0.0
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.out == "":
            raise ValueError("out is empty: expected the name of a folder")
        check_choice(OPTIMIZERS, optimizer=self.optimizer)
        check_choice(STRATEGIES, strategy=self.strategy)
        check_number(minimum=0, maximum=1, label_smoothing=self.label_smoothing)
        check_integer(minimum=0, maximum=2**63 - 1, seed=self.seed)
        check_bool(progress=self.progress)
        if self.strategy == "shard" and self.optimizer == "muon":
            raise ValueError("muon needs whole matrices: expected adamw with strategy 'shard'")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that one command line asks for.

    Parameters
    ----------
    model
        Name of the model in the catalogue.
    model_options
        Arguments of the model's parts by name.
    data
        The corpus, and how it is tokenized and batched.
    training
        The configuration of the training.
    run
        The other options.
    """

    model: str
    model_options: dict[str, Any]
    data: TrainingData[Any]
    training: TrainConfig
    run: RunConfig

    @classmethod
    def from_options(cls, model: str, options: Mapping[str, Any]) -> Job:
        """Sort the values of all options by where they belong.

        Parameters
        ----------
        model
            Name of the model in the catalogue.
        options
            Values of all options by name.

        Returns
        -------
        job : Job
            The checked options, each group as its own configuration.

        Raises
        ------
        ValueError
            If a value is out of its range.
        """
        data_class = MODELS[model].data_class
        return cls(
            model=model,
            model_options=select_model_options(model, options),
            data=data_class(**select_arguments(data_class, options)),
            training=TrainConfig(**select_arguments(TrainConfig, options)),
            run=RunConfig(**select_arguments(RunConfig, options)),
        )

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return as_path(f"runs/{self.model}" if self.run.out is None else self.run.out)

    def description(self) -> dict[str, Any]:
        """Return what must be equal when a run is resumed, besides `training`, as JSON values."""
        values = {
            "model": self.model,
            "model_options": self.model_options,
            "data": asdict(self.data),
            "optimizer": self.run.optimizer,
            "label_smoothing": float(self.run.label_smoothing),
            "seed": self.run.seed,
        }
        plain_values: dict[str, Any] = json.loads(json.dumps(values))
        return plain_values
