"""The trained translator that travels with the book, in book/models/attention-de-en.

    python -m benchmarks.stored_translator              some 15 minutes of one quiet core
    python -m benchmarks.stored_translator --measure    the stored weights, measured anew

The model of section 4.2, wider and trained for longer than a page can, learns Multi30k from German
to English by pieces of words. The rate falls in two parts, in the second to zero; each part keeps
the parameters of its best validation. Nothing is chosen on
test: the weights as they are stored, in half precision, translate the validation and the test
sentences once, greedily and with a beam of 5. A run that was stopped goes on from its checkpoint in
runs/.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import command_line, result_files
from benchmarks.translation.task import MAX_LENGTH, TranslationTask
from utils.console import make_output_safe
from utils.data.corpora import load_pairs
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.tokenizers import BPETokenizer
from utils.decoding.beam_config import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.cost import count_parameters
from utils.metrics.text import bleu, bleu_interval
from utils.models.stored_files import models_folder
from utils.models.stored_translator import (
    StoredTranslator,
    Translator,
    build_translator,
    load_stored_translator,
    save_stored_translator,
)
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_objective

NAME = "attention-de-en"
LEARNING_RATE, DROPOUT, LABEL_SMOOTHING = 3e-3, 0.15, 0.1
FIRST = TrainConfig(
    steps=2250,
    learning_rate=LEARNING_RATE,
    warmup_fraction=0.08,
    final_learning_rate_fraction=0.5208,
    validate_every=450,
    checkpoint_every=450,
)
SECOND = TrainConfig(
    steps=750,
    learning_rate=0.5208 * LEARNING_RATE,
    warmup_fraction=0.02,
    validate_every=250,
    checkpoint_every=125,
)
VOCAB_SIZE, WIDTH, BATCH_SIZE, SEED = 3000, 192, 64, 0
BEAM = BeamConfig(5, length_penalty=1.0, patience=1)


def load_task() -> TranslationTask:
    """Load Multi30k, and train the tokenizer on both languages of its training pairs."""
    corpus = load_pairs("multi30k", source_language="de", target_language="en")
    sentences = [sentence for pair in corpus.train for sentence in pair]
    tokenizer = BPETokenizer.train(sentences, max_vocab_size=VOCAB_SIZE)
    train, valid = (encode_pairs(pairs, tokenizer) for pairs in (corpus.train, corpus.valid))
    return TranslationTask(corpus, tokenizer, train, valid)


def train(
    task: TranslationTask, *, parts: Sequence[TrainConfig], folder: Path
) -> tuple[Translator, dict[str, Any], dict[str, Any]]:
    """Train the translator in parts, of which each begins with the best parameters of the last.

    Parameters
    ----------
    task
        The sentences and the tokenizer.
    parts
        How to train in each part.
    folder
        The folder of the checkpoints, from which a stopped run goes on.

    Returns
    -------
    model : Translator
        The model with the parameters of its best validation.
    options : dict
        The arguments with which it was built.
    facts : dict
        Corpus, steps, tokens, rate, parameters and time of the training.
    """
    seed_everything(SEED)
    options: dict[str, Any] = {
        "vocab_size": len(task.tokenizer),
        "width": WIDTH,
        "dropout": DROPOUT,
    }
    model = build_translator(**options)
    folder.mkdir(parents=True, exist_ok=True)
    histories = []
    for number, config in enumerate(parts):
        checkpoint = folder / f"{NAME}-{number}-{config.steps}.safetensors"
        histories.append(
            train_part(model, task, config=config, checkpoint=checkpoint, seed=SEED + number)
        )
    facts = {
        "corpus": task.corpus.name,
        "origin": task.corpus.origin,
        "optimizer": "adamw",
        "learning_rate": [config.learning_rate for config in parts],
        "label_smoothing": LABEL_SMOOTHING,
        "batch_size": BATCH_SIZE,
        "steps": sum(config.steps for config in parts),
        "best_step": sum(history.best_step for history in histories),
        "tokens": sum(history.num_tokens for history in histories),
        "seconds": round(sum(history.seconds for history in histories)),
        "parameters": count_parameters(model),
    }
    return model, options, facts


def train_part(
    model: Translator, task: TranslationTask, *, config: TrainConfig, checkpoint: Path, seed: int
) -> History:
    """Train a model for one part of its training.

    Parameters
    ----------
    model
        The model, which is left with the parameters of its best validation.
    task
        The sentences.
    config
        How to train.
    checkpoint
        The file of the checkpoint.
    seed
        Seed of the order of the sentences.

    Returns
    -------
    history : History
        The losses, steps and time.
    """
    history = fit(
        model,
        PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed),
        config,
        valid=pair_eval_batches(task.valid, batch_size=128),
        checkpoint=checkpoint,
        progress=False,
        objective=token_objective(label_smoothing=LABEL_SMOOTHING),
        on_validation=lambda history: print(history.validations[-1], flush=True),
    )
    history.raise_if_interrupted()  # the checkpoint stays for the next run
    return history


def measure(stored: StoredTranslator, task: TranslationTask) -> dict[str, Any]:
    """Measure a translator: loss and BLEU on validation and test.

    Parameters
    ----------
    stored
        The translator.
    task
        The sentences.

    Returns
    -------
    figures : dict
        Of each split the loss in nats per token, and BLEU of both searches; of the test set the
        interval of BLEU, BLEU without case and sacreBLEU's signature, too.
    """
    figures: dict[str, Any] = {}
    for split in ("valid", "test"):
        pairs = getattr(task.corpus, split)
        batches = pair_eval_batches(encode_pairs(pairs, stored.tokenizer), batch_size=128)
        figures[f"{split}_loss"] = evaluate(stored.model, batches).loss
        sources, references = zip(*pairs, strict=True)
        for search, beam in (("greedy", None), ("beam", BEAM)):
            answers = translate(
                stored.model, sources, stored.tokenizer, beam=beam, max_length=MAX_LENGTH
            )
            interval = bleu_interval(answers, references)
            figures[f"{split}_bleu_{search}"] = interval.score
            if split == "test":
                figures[f"test_bleu_{search}_interval"] = [interval.low, interval.high]
                figures[f"test_bleu_{search}_lowercased"] = bleu(
                    answers, references, lowercase=True
                )
                figures["signature"] = interval.signature
    return figures


def main(arguments: Sequence[str]) -> None:
    """Train, store and measure the translator by the arguments of the command line."""
    parser = command_line.benchmark_parser("stored_translator", __doc__, folder=models_folder())
    parser.add_argument(
        "--steps", type=command_line.positive_integer, nargs=2, help="of both parts, for a trial"
    )
    parser.add_argument("--measure", action="store_true", help="the stored weights, no training")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("stored_translator", arguments), load_task()
    if options.measure:
        stored = load_stored_translator(NAME, folder=options.out)
        facts = dict(stored.facts) | measure(stored, task)
        facts["measurement"] = run.provenance(seeds=[SEED], origin=task.corpus.origin)
        where = {"options": stored.options, "folder": options.out}
        save_stored_translator(NAME, stored.model, stored.tokenizer, facts=facts, **where)
        print(NAME, facts)
        return
    parts = [FIRST, SECOND]
    if options.steps:
        parts = [
            replace(part, steps=steps, validate_every=0, checkpoint_every=0)
            for part, steps in zip(parts, options.steps, strict=True)
        ]
    folder = result_files.ROOT / "runs" / "stored_models"
    model, built_with, facts = train(task, parts=parts, folder=folder)
    where = {"options": built_with, "folder": options.out}
    save_stored_translator(NAME, model, task.tokenizer, facts=facts, **where)
    facts |= measure(load_stored_translator(NAME, folder=options.out), task)
    facts["provenance"] = run.provenance(seeds=[SEED], origin=task.corpus.origin)
    save_stored_translator(NAME, model, task.tokenizer, facts=facts, **where)
    print(NAME, facts)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])
