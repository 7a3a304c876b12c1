"""How fast translation trains and decodes.

    python -m benchmarks.translation_speed PART

    training   the book's models against the step of well-known tutorials, in real target tokens per
               second at equal numbers of parameters
    decoding   the whole test set in batches, with caches, against one sentence at a time: with the
               cache as well, and as a tutorial's Transformer does it, reading its answer anew for
               each token

The tutorials' side (``tutorial_rnns``, ``tutorial_transformer``) does as they do: random batches of
128 padded to the longest sentence; recurrent decoders that are called token by token and read their
own token half of the time; a Transformer with its attention written out. The book's side: batches
of equal source length, a known target read in one call, fused attention, one matrix for the
target's embedding and the output. Both sides have separate embeddings for source and target, the
same loss and the same optimizer. They take turns in one process, on one thread, and each round
gives the ratio of their processor times; medians and quartiles go to
book/results/translation_speed.json.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import record
from benchmarks.rounds import measure_in_turn, stored_speeds
from benchmarks.translation_task import BEAM_SIZE, MAX_LENGTH, TranslationTask
from benchmarks.tutorial_rnns import StepwiseAttention, StepwiseLSTM
from benchmarks.tutorial_transformer import PlainTransformer, UncachedModel
from utils.data.batches import IGNORE, Batch
from utils.data.pair_batches import IdPair, PairBatches, pair_batch
from utils.decoding.search import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder
from utils.models.contract import ConditionalLanguageModel
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import count_tokens
from utils.training.loop import fit
from utils.training.objectives import cross_entropy
from utils.training.optimizers import OptimizerFactory, adamw, muon

BATCH_SIZE = 128  # sentences in a training step
BOOK_STEPS, TUTORIAL_STEPS = 3, 2  # training steps in a round
WIDTHS = range(192, 641, 8)  # those that are tried to match a number of parameters
DECODED_WIDTH, DECODED_STEPS, DECODED_BATCH_SIZE = 256, 200, 64  # of the models that are decoded
SINGLE_SENTENCES = 20  # decoded one at a time in a round


def attention_gru(vocab_size: int, *, width: int) -> EncoderDecoder:
    """Build the book's encoder–decoder of GRUs with attention."""
    decoder = AttentionDecoder(vocab_size, width=width, score="scaled", dropout=0.1)
    return EncoderDecoder(RNNEncoder(vocab_size, width=width, dropout=0.1), decoder)


def transformer(vocab_size: int, *, width: int) -> EncoderDecoder:
    """Build the book's Transformer with three layers on each side."""
    encoder = TransformerEncoder(
        vocab_size, width=width, layers=3, heads=8, hidden_size=512, dropout=0.1
    )
    decoder = TransformerDecoder(
        vocab_size, width=width, layers=3, heads=8, hidden_size=512, dropout=0.1
    )
    return EncoderDecoder(encoder, decoder)


@dataclass(frozen=True)
class Rivals:
    """A tutorial's model and the book's model of the same sort.

    Parameters
    ----------
    build_tutorial
        Builds the tutorial's model for a size of the vocabulary.
    build_book
        Builds the book's model for a size of the vocabulary and a width.
    """

    build_tutorial: Callable[[int], nn.Module]
    build_book: Callable[..., EncoderDecoder]


RIVALS = {
    "attention GRU": Rivals(StepwiseAttention, attention_gru),
    "LSTM": Rivals(
        StepwiseLSTM, partial(lstm_seq2seq, layers=2, dropout=0.1, share_embedding=False)
    ),
    "Transformer": Rivals(PlainTransformer, transformer),
}


@dataclass(frozen=True)
class DecodingCase:
    """A model and a search, in batches and one sentence at a time.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary and a width.
    optimizer
        Trains it.
    beam
        Options of beam search; None for greedy search.
    uncached
        Whether one sentence at a time is decoded without a cache.
    """

    build: Callable[..., EncoderDecoder]
    optimizer: OptimizerFactory
    beam: BeamConfig | None = None
    uncached: bool = False

    def translate(
        self, model: ConditionalLanguageModel, sources: Sequence[str], task: TranslationTask
    ) -> list[str]:
        """Translate the sources in batches."""
        return translate(model, sources, task.tokenizer, beam=self.beam, max_length=MAX_LENGTH)


BEAM = BeamConfig(BEAM_SIZE)
DECODING_CASES = {
    "greedy": DecodingCase(attention_gru, adamw),
    f"beam of {BEAM_SIZE}": DecodingCase(attention_gru, adamw, BEAM),
    "Transformer, greedy, no cache": DecodingCase(transformer, muon, uncached=True),
    f"Transformer, beam of {BEAM_SIZE}, no cache": DecodingCase(
        transformer, muon, BEAM, uncached=True
    ),
}


def equal_width(build: Callable[..., EncoderDecoder], vocab_size: int, parameters: int) -> int:
    """Return the width whose number of parameters is nearest to `parameters`."""
    return min(
        WIDTHS,
        key=lambda width: abs(count_parameters(build(vocab_size, width=width)) - parameters),
    )


def padded_batches(pairs: Sequence[IdPair], count: int) -> list[Batch]:
    """Return batches as the tutorials draw them: any sentences, padded to the longest."""
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    groups = [order[i * BATCH_SIZE : (i + 1) * BATCH_SIZE] for i in range(count)]
    return [pair_batch([pairs[i] for i in group]) for group in groups]


def tutorial_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the loss of a tutorial's model in nats per target token."""
    logits = model(batch.source, batch.inputs)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)


def book_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the loss of the book's model in nats per target token."""
    return cross_entropy(model, batch) / count_tokens(batch)


def tokens_per_second(
    model: nn.Module,
    batches: Sequence[Batch],
    loss_of: Callable[[nn.Module, Batch], torch.Tensor],
) -> float:
    """Return how many real target tokens training steps process per processor second."""
    optimizer = adamw(model, TrainConfig())
    model.train()
    start = time.process_time()
    for batch in batches:
        loss_of(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return sum(map(count_tokens, batches)) / (time.process_time() - start)


def compare_training(task: TranslationTask, rivals: Rivals, *, rounds: int) -> dict[str, Any]:
    """Compare the speeds of training of two models, and return what is stored about it."""
    seed_everything(0)
    vocab_size = len(task.tokenizer)
    tutorial = rivals.build_tutorial(vocab_size)
    width = equal_width(rivals.build_book, vocab_size, count_parameters(tutorial))
    book = rivals.build_book(vocab_size, width=width)
    stream = PairBatches(task.train, batch_size=BATCH_SIZE, seed=0)
    padded = padded_batches(task.train, TUTORIAL_STEPS * (rounds + 1))  # one round warms up

    def measure_book(i: int) -> float:
        batches = [stream[BOOK_STEPS * i + j] for j in range(BOOK_STEPS)]
        return tokens_per_second(book, batches, book_loss)

    def measure_tutorial(i: int) -> float:
        batches = padded[TUTORIAL_STEPS * i : TUTORIAL_STEPS * (i + 1)]
        return tokens_per_second(tutorial, batches, tutorial_loss)

    speeds = measure_in_turn(measure_book, measure_tutorial, rounds=rounds)
    return {
        **stored_speeds(speeds),
        "parameters": [count_parameters(model) for model in (book, tutorial)],
        "width": width,
    }


def train_briefly(task: TranslationTask, case: DecodingCase) -> EncoderDecoder:
    """Train the model of a case until it writes sentences and ends them."""
    seed_everything(0)
    model = case.build(len(task.tokenizer), width=DECODED_WIDTH)
    stream = PairBatches(task.train, batch_size=DECODED_BATCH_SIZE, seed=0)
    config = TrainConfig(steps=DECODED_STEPS)
    fit(model, stream, config, progress=False, optimizer=case.optimizer)
    return model


def compare_decoding(
    task: TranslationTask, model: EncoderDecoder, case: DecodingCase, *, rounds: int
) -> dict[str, Any]:
    """Compare the speeds of decoding in batches and one by one, and return what is stored of them.

    In each round the whole test set is decoded in batches, and another part of it one by one.
    """
    single_model = UncachedModel(model) if case.uncached else model
    sources = [source for source, _ in task.corpus.test]
    in_batches: list[str] = []  # the answers of the last time, which are the same each time
    one_by_one: dict[int, str] = {}

    def measure_batches(i: int) -> float:
        start = time.process_time()
        in_batches[:] = case.translate(model, sources, task)
        return len(sources) / (time.process_time() - start)

    def measure_single(i: int) -> float:
        indices = range(i * SINGLE_SENTENCES, (i + 1) * SINGLE_SENTENCES)
        start = time.process_time()
        for j in indices:
            (one_by_one[j],) = case.translate(single_model, [sources[j]], task)
        return len(indices) / (time.process_time() - start)

    speeds = measure_in_turn(measure_batches, measure_single, rounds=rounds, warmup=0)
    different = [j for j, answer in one_by_one.items() if answer != in_batches[j]]
    assert not different, f"sentences {different} were translated differently one by one"
    return stored_speeds(speeds)


def measure_training(task: TranslationTask, *, rounds: int) -> dict[str, Any]:
    """Compare each pair of models, and return what is stored of it by its name."""
    results = {}
    for name, rivals in RIVALS.items():
        results[name] = compare_training(task, rivals, rounds=rounds)
        print(name, results[name], flush=True)
    return results


def measure_decoding(task: TranslationTask, *, rounds: int) -> dict[str, Any]:
    """Compare each case, and return what is stored of it by its name."""
    results = {}
    models: dict[Callable[..., EncoderDecoder], EncoderDecoder] = {}
    for name, case in DECODING_CASES.items():
        if case.build not in models:  # greedy and beam search decode with the same model
            models[case.build] = train_briefly(task, case)
        results[name] = compare_decoding(task, models[case.build], case, rounds=rounds)
        print(name, results[name], flush=True)
    return results


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.command_line("translation_speed", __doc__)
    parser.add_argument("part", choices=["training", "decoding"])
    parser.add_argument("--rounds", type=int, default=15, help="from 2 to 50")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = record.Run.start("translation_speed", arguments), TranslationTask.load()
    measure = measure_training if options.part == "training" else measure_decoding
    results = measure(task, rounds=options.rounds)
    results["provenance"] = run.provenance(seeds=[0], origin=task.corpus.origin)
    record.write_results(options.out, {options.part: results}, keep_others=True)


if __name__ == "__main__":
    main(sys.argv[1:])
