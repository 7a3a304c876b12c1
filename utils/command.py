"""``python -m utils.training MODEL …``: train a model of the book from the command line.

Options are the fields of `TrainConfig` and of the classes below, and what the models themselves
take; their defaults, types and descriptions are read off there. By torchrun, the same command
trains with several processes (``utils.parallel``).
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import io
import json
import os
import sys
import typing
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from utils import data, metrics, optimizers, parallel, runtime, training
from utils.catalogue import MODELS, TOKENIZERS, build, data_of, options_of, pick, tokenizer_of
from utils.training import TrainConfig

OPTIMIZERS = {"adamw": optimizers.adamw, "muon": optimizers.muon}
CHECKPOINT = {"data": "checkpoint.safetensors", "shard": "checkpoint"}
PROGRAM = "python -m utils.training"
ABOUT, TOKENIZER, WEIGHTS = "model.json", "tokenizer.json", "weights.safetensors"


@dataclass(frozen=True)
class Run:
    """Where it runs and what it leaves behind.

    `out`: the folder for checkpoints, tokenizer and weights (runs/MODEL where not given); a run
    that finds a checkpoint there goes on from it. `device`: cuda, mps or cpu, the best one here
    where not given. `parallel`: with several processes, copies (data) or shards (shard).
    `optimizer`: adamw or muon. `progress`: a bar, on a terminal.
    """

    out: str | None = None
    device: str | None = None
    parallel: str = "data"
    optimizer: str = "adamw"
    progress: bool = True

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer is {self.optimizer!r}; choose from {', '.join(OPTIMIZERS)}"
            )
        if self.parallel == "shard" and self.optimizer == "muon":
            raise ValueError("muon needs whole matrices: expected adamw with parallel 'shard'")


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says. 0: done; 1: the loss ran away; 2: it cannot be done so."""
    name, chosen = parse(argv)
    try:
        run = Run(**pick(Run, chosen))
        with parallel.team(run.parallel, run.device) as team:
            with redirect_stdout(io.StringIO()) if team.rank else nullcontext():
                train(name, chosen, run, team)
    except (ValueError, OSError, data.DataError) as error:
        return complain(name, error, 2)
    except FloatingPointError as error:
        return complain(name, error, 1)
    return 0


def complain(name: str, error: Exception, code: int) -> int:
    """One line on stderr, from each process that it happens to."""
    rank = os.environ.get("RANK", "0")
    who = name if rank == "0" else f"{name}, process {rank}"
    print(f"{PROGRAM} {who}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def train(name: str, chosen: dict, run: Run, team: parallel.Team) -> None:
    """Read the data, build the model, train it, and leave its best weights in the run's folder."""
    config, source = TrainConfig(**pick(TrainConfig, chosen)), data_of(name)
    source = source(**pick(source, chosen))
    if source.batch % team.world:
        raise ValueError(f"batch must be divisible by {team.world} processes, got {source.batch}")
    folder = Path(run.out or f"runs/{name}")
    made = {key: value for part in MODELS[name] for key, value in pick(part, chosen).items()}
    about = {"model": name, **made, **asdict(source), "optimizer": run.optimizer}
    begun = compare(folder, about, run.parallel)
    corpus = source.read()
    if begun:
        tokenizer = TOKENIZERS[source.tokens].load(folder / TOKENIZER)
    else:
        tokenizer = tokenizer_of(source, corpus)
    batches, valid = source.batches(corpus, tokenizer)
    runtime.seed_everything(source.seed)
    model = build(name, made, len(tokenizer)).to(team.device)
    team.check_same("data", [begun, len(tokenizer), len(valid), int(batches[0].targets.sum())])
    if team.rank == 0:
        runtime.write_text(
            folder / ABOUT, json.dumps({**about, "vocab_size": len(tokenizer)}, indent=1)
        )
        tokenizer.save(folder / TOKENIZER)
    else:
        runtime.seed_everything(source.seed + team.rank)  # each process has its own dropout
    print(f"{name}: {metrics.parameters(model):,} weights; {len(tokenizer):,} {source.tokens} of "
          f"{corpus.name} ({corpus.origin}); {team.world} x {team.device.type}, {team.kind}"
          f"{'; goes on from ' + str(folder) if begun else ''}", flush=True)  # fmt: skip
    shown = run.progress and team.rank == 0 and sys.stderr.isatty()
    history = training.fit(
        model, batches, config, valid, folder / CHECKPOINT[run.parallel], shown,
        OPTIMIZERS[run.optimizer], team=team, told=tell,
    )  # fmt: skip
    weights = team.whole(model.state_dict())
    if team.rank == 0:
        runtime.save_checkpoint(folder / WEIGHTS, {"weights": weights})
    report(history, valid, sum(map(len, source.texts(corpus.valid))))
    print(f"weights of step {history.best_step} in {folder / WEIGHTS}", flush=True)


def tell(history: training.History) -> None:
    """A line for each validation."""
    step, loss = history.valid[-1]
    print(f"step {step}: loss {history.losses[-1]:.4f}, validation {loss:.4f}", flush=True)


def report(history: training.History, valid, characters: int) -> None:
    """The best validation, in the three usual measures, and the speed."""
    tokens = sum(map(training.count_tokens, valid))
    nll = min(loss for _, loss in history.valid) * tokens
    print(f"validation: {nll / tokens:.4f} nats a token, perplexity "
          f"{metrics.perplexity(nll, tokens):.2f}, "
          f"{metrics.bits_per_character(nll, characters):.3f} bits a character")  # fmt: skip
    print(f"{'interrupted after' if history.interrupted else 'trained'} {len(history.losses)} "
          f"steps, {history.tokens_per_second:,.0f} tokens a second")  # fmt: skip


def load(folder: str | Path):
    """(model, tokenizer) that a run left in `folder`, the model in evaluation mode on the CPU."""
    folder = Path(folder)
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    model = build(about["model"], about, about["vocab_size"])
    model.load_state_dict(runtime.load_checkpoint(folder / WEIGHTS)["weights"])
    return model.eval(), TOKENIZERS[about["tokens"]].load(folder / TOKENIZER)


def compare(folder: Path, about: dict, kind: str) -> bool:
    """Whether `folder` has a checkpoint to go on from.

    Raises ValueError where it is one of another model, of other data or of the other kind.
    """
    there = [key for key, name in CHECKPOINT.items() if (folder / name).exists()]
    if not there:
        return False
    before = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps({**about, "parallel": kind}))  # lists for tuples
    for key, found in {**before, "parallel": there[0]}.items():
        if key != "vocab_size" and wanted.get(key) != found:
            raise ValueError(
                f"{folder} has a checkpoint with {key}={found!r}, not {wanted.get(key)!r}: "
                "expected the same options, or another folder as --out"
            )
    return True


class Parser(argparse.ArgumentParser):
    """argparse, whose errors take one line."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message}\n")


def parse(argv: list[str] | None) -> tuple[str, dict]:
    """The model's name, and the options by name with their values."""
    parser, commands = parsers()
    chosen, unknown = parser.parse_known_args(argv)
    name, chosen = chosen.model, {k: v for k, v in vars(chosen).items() if k != "model"}
    if unknown:
        known = [f"--{key.replace('_', '-')}" for key in chosen]
        near = difflib.get_close_matches(unknown[0], known, 1)
        expected = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        commands[name].error(f"unknown option {unknown[0]}: {expected}")
    return name, chosen


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """A command for each model, with an option for each field of what it takes."""
    shape = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = Parser(PROGRAM, description=__doc__, **shape)
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL", title="models")
    for name, parts in MODELS.items():
        text = ", ".join(f"{part.__module__}.{part.__name__}" for part in parts)
        usage = f"{PROGRAM} {name} [--OPTION VALUE ...]"
        command = models.add_parser(name, help=text, description=text, usage=usage, **shape)
        seen = set()
        for taken in (*parts, data_of(name), TrainConfig, Run):
            words = inspect.getdoc(taken).replace("%", "%%")
            group = command.add_argument_group(taken.__name__, words)
            for option, (hint, default) in options_of(taken).items():
                if option not in seen:  # two parts of one width; a model and data of one block
                    add_option(group, option, hint, default)
                    seen.add(option)
    return parser, models.choices


def add_option(group, name: str, hint, default) -> None:
    """--name with the type and the default of a field."""
    kinds = [kind for kind in typing.get_args(hint) or [hint] if kind not in (type(None), ...)]
    how = {"type": kinds[0], "metavar": kinds[0].__name__.upper()}
    if kinds == [bool]:
        how = {"action": argparse.BooleanOptionalAction}
    elif typing.get_origin(hint) is tuple:
        how["nargs"] = "*" if ... in typing.get_args(hint) else len(kinds)
    shown = "none" if default in (None, ()) else default
    group.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"[{shown}]", **how)
