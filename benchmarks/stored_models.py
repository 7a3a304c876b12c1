"""The trained language models that travel with the book, in book/models.

    python -m benchmarks.stored_models                 both, some 30 minutes of one quiet core
    python -m benchmarks.stored_models gpt-pieces      one of them

A GPT and an LSTM of about as many parameters learn Tiny Shakespeare by pieces of words, the
vocabulary of section 6.2. Each keeps the parameters of its best validation, on the part of the text
that the corpus sets aside for it; the test text is read once, by the weights as they are stored, in
half precision. A run that was stopped goes on from its checkpoint in runs/.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import command_line, result_files
from utils.console import make_output_safe
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import Corpus, load_text
from utils.data.tokenizers import BPETokenizer
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import bits_per_character
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.stored import ARCHITECTURES, load_stored_model, save_stored_model
from utils.models.stored_files import models_folder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import OptimizerFactory, adamw, muon

VOCAB_SIZE, CONTEXT_LENGTH, BATCH_SIZE, SEED = 1000, 128, 16, 0
NUM_VALIDATIONS = 15


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model and how it is trained.

    Parameters
    ----------
    architecture
        The name of its class in ``utils.models.stored``.
    options
        The arguments of the class other than the size of the vocabulary.
    config
        How to train.
    make_optimizer
        Builds the optimizer.
    """

    architecture: str
    options: dict[str, Any]
    config: TrainConfig
    make_optimizer: OptimizerFactory


RECIPES = {
    "gpt-pieces": Recipe(
        architecture="GPT",
        options={
            "width": 128,
            "num_layers": 4,
            "num_heads": 4,
            "context_length": CONTEXT_LENGTH,
            "dropout": 0.1,
        },
        config=TrainConfig(steps=2400, learning_rate=1e-2, warmup_fraction=0.02),
        make_optimizer=muon,
    ),
    "lstm-pieces": Recipe(
        architecture="RNNLM",
        options={
            "width": 384,
            "cell": "lstm",
            "tied": True,
            "embedding_size": 128,
            "dropout": 0.2,
        },
        config=TrainConfig(steps=2400, learning_rate=6e-3, warmup_fraction=0.02),
        make_optimizer=adamw,
    ),
}


def train(
    recipe: Recipe, corpus: Corpus[str], tokenizer: BPETokenizer, *, steps: int, checkpoint: Path
) -> tuple[GPT | RNNLM, dict[str, Any], dict[str, Any]]:
    """Train a model by its recipe.

    Parameters
    ----------
    recipe
        What to train, and how.
    corpus
        The text.
    tokenizer
        The tokenizer, trained on the corpus's training part.
    steps
        Number of steps.
    checkpoint
        The file of the checkpoint, from which a stopped run goes on.

    Returns
    -------
    model : GPT or RNNLM
        The model with the parameters of its best validation.
    options : dict
        The arguments with which it was built.
    facts : dict
        Corpus, steps, tokens, rate, parameters and time of the training.
    """
    seed_everything(SEED)
    options = {"vocab_size": len(tokenizer), **recipe.options}
    model = ARCHITECTURES[recipe.architecture](**options)
    batches = TextBatches(
        torch.tensor(tokenizer.encode(corpus.train)),
        batch_size=BATCH_SIZE,
        context_length=CONTEXT_LENGTH,
        seed=SEED,
        without_replacement=True,
    )
    valid = torch.tensor(tokenizer.encode(corpus.valid))
    config = replace(
        recipe.config,
        steps=steps,
        validate_every=max(1, steps // NUM_VALIDATIONS),
        checkpoint_every=max(1, steps // NUM_VALIDATIONS),
    )
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    history = fit(
        model,
        batches,
        config,
        valid=text_eval_batches(valid, batch_size=16, context_length=CONTEXT_LENGTH),
        checkpoint=checkpoint,
        progress=False,
        make_optimizer=recipe.make_optimizer,
        on_validation=lambda history: print(history.validations[-1], flush=True),
    )
    history.raise_if_interrupted()  # the checkpoint stays for the next run
    facts = {
        "corpus": corpus.name,
        "origin": corpus.origin,
        "optimizer": recipe.make_optimizer.__name__,
        "learning_rate": config.learning_rate,
        "steps": steps,
        "best_step": history.best_step,
        "tokens": history.num_tokens,
        "seconds": round(history.seconds),
        "parameters": count_parameters(model),
    }
    return model, options, facts


def measure(name: str, corpus: Corpus[str], *, folder: Path) -> dict[str, float]:
    """Measure a stored model on the validation and the test text, each read from end to end.

    Parameters
    ----------
    name
        Its name.
    corpus
        The text.
    folder
        The folder of the models.

    Returns
    -------
    figures : dict of str to float
        Bits per character of both splits.
    """
    stored = load_stored_model(name, folder=folder)
    figures = {}
    for split in ("valid", "test"):
        text: str = getattr(corpus, split)
        ids = stored.tokenizer.encode(text)
        given = len(stored.tokenizer.decode(ids[:1]))
        model: Any = stored.model  # a type checker cannot choose between its states
        nll = -float(token_log_probs(model, torch.tensor(ids)).sum())
        figures[f"{split}_bits_per_character"] = bits_per_character(nll, len(text) - given)
    return figures


def main(arguments: Sequence[str]) -> None:
    """Train, store and measure the models by the arguments of the command line."""
    parser = command_line.benchmark_parser("stored_models", __doc__, folder=models_folder())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}")
    parser.add_argument(
        "--steps", type=command_line.positive_integer, help="instead of the recipe's"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - RECIPES.keys():
        parser.error(f"unknown model {min(unknown)!r}: expected {' or '.join(RECIPES)}")
    torch.set_num_threads(1)
    corpus = load_text()
    tokenizer = BPETokenizer.train(corpus.train, max_vocab_size=VOCAB_SIZE)
    for name in options.names or RECIPES:
        run, recipe = result_files.Run.start("stored_models", arguments), RECIPES[name]
        steps = options.steps or recipe.config.steps
        checkpoint = result_files.ROOT / "runs" / "stored_models" / f"{name}-{steps}.safetensors"
        model, built_with, facts = train(
            recipe, corpus, tokenizer, steps=steps, checkpoint=checkpoint
        )
        where = {"options": built_with, "folder": options.out}
        save_stored_model(name, model, tokenizer, facts=facts, **where)
        facts |= measure(name, corpus, folder=options.out)
        facts["provenance"] = run.provenance(seeds=[SEED], origin=corpus.origin)
        save_stored_model(name, model, tokenizer, facts=facts, **where)
        print(name, facts)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
