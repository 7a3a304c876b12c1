"""English to Chinese: the model with attention on the sentences of Tatoeba."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.translation.recipes import build_recurrent
from benchmarks.translation.task import BEAM_SIZE, MAX_LENGTH, VOCAB_SIZE
from utils.data.corpora import Corpus, load_pairs
from utils.data.examples import SentencePair
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.tokenizers import BPETokenizer
from utils.decoding.beam_config import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.cost import count_parameters
from utils.metrics.text import bleu, chrf
from utils.models.encoder_decoder import share_embeddings
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import token_objective

STEPS, BATCH_SIZE, RATE, DROPOUT = 1000, 64, 4e-3, 0.2
LABEL_SMOOTHING, NUM_VALIDATIONS = 0.1, 10


def load_chinese() -> Corpus[list[SentencePair]]:
    """Load the sentence pairs, English to Chinese."""
    return load_pairs("tatoeba", source_language="en", target_language="zh")


def run_chinese(
    corpus: Corpus[list[SentencePair]], *, seed: int, steps: int = STEPS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train the model and translate the test sentences with a beam.

    Parameters
    ----------
    corpus
        The sentence pairs.
    seed
        Seed of the parameters and of the batches.
    steps
        Training steps.

    Returns
    -------
    figures : dict
        Scores on the test sentences, the validation curve, and the translations.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    sentences = [sentence for pair in corpus.train for sentence in pair]
    tokenizer = BPETokenizer.train(sentences, max_vocab_size=VOCAB_SIZE)
    train, valid = (encode_pairs(pairs, tokenizer) for pairs in (corpus.train, corpus.valid))
    seed_everything(seed)
    model = share_embeddings(build_recurrent(len(tokenizer), dropout=DROPOUT))
    config = TrainConfig(
        steps=steps, learning_rate=RATE, validate_every=max(1, steps // NUM_VALIDATIONS)
    )
    history = fit(
        model,
        PairBatches(train, batch_size=BATCH_SIZE, seed=seed),
        config,
        valid=pair_eval_batches(valid, batch_size=128),
        objective=token_objective(label_smoothing=LABEL_SMOOTHING),
        progress=False,
    )
    history.raise_if_interrupted()
    trained = time.process_time() - start
    sources, references = map(list, zip(*corpus.test, strict=True))
    beam = BeamConfig(BEAM_SIZE)
    answers = translate(model, sources, tokenizer, beam=beam, max_length=MAX_LENGTH)
    figures = {
        "curve": history.validations,
        "validation loss (nats per token)": history.best_loss,
        "BLEU, characters": bleu(answers, references, tokenize="zh"),
        "chrF": chrf(answers, references),
        "pieces": len(tokenizer),
        "answers": answers,
    }
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(trained, 2),
    }
    return figures, costs


def chinese_settings(*, steps: int = STEPS) -> dict[str, Any]:
    """Return the settings of the run that rows store."""
    return {
        "optimizer": "AdamW",
        "learning_rate": RATE,
        "grid": None,
        "steps": steps,
        "batch size": BATCH_SIZE,
        "dropout": DROPOUT,
        "label smoothing": LABEL_SMOOTHING,
        "beam": BEAM_SIZE,
    }
