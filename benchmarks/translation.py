"""Four encoder–decoders on Multi30k, German to English.

    python -m benchmarks.translation PART

    bake-off   four models of equal size, each for as many steps as one quiet core does in about
               five minutes; steps are counted, so that a busy machine gets the same models later
    longer     attention alone: between LSTMs 1,650 steps, five minutes of two quiet cores; between
               GRUs 5,400, fifteen, with more dropout; there the beam's answers are ranked by the
               length penalty or by a bonus per token, whichever has the best BLEU on validation
    rates      each model of the bake-off from seed 0 with half and with twice its learning rate

All models share one vocabulary of 4,000 cased pieces, made of the training text of both languages,
and one matrix for the words of source, target and output. Batches hold up to 64 sentences of equal
source length; dropout, label smoothing and schedule are the same for all in the bake-off. The
learning rates are those of which `rates` found neither the half nor the double better on
validation, after all steps. AdamW trains all weights, Muon the matrices of the Transformer, which a
row of its own trains by AdamW alone. Nothing is chosen on the test set (test_2016_flickr), which
each trained model translates once, greedily and with a beam of 5. Each model trains on one thread.
book/results/translation.json gets every seed's figures, beside those that are there; `--parallel 2`
trains two models at a time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from torch import nn

from benchmarks import record
from utils import runtime
from utils.data.corpora import Corpus, load_pairs
from utils.data.pair_batches import PairBatches, encode_pairs, pair_eval_batches
from utils.data.tokenizers import BPETokenizer
from utils.decoding.search import BeamConfig
from utils.decoding.translation import translate
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import perplexity
from utils.metrics.text import bleu_interval, chrf
from utils.models.attention_decoder import AttentionDecoder
from utils.models.decoders import CNNDecoder
from utils.models.encoder_decoder import EncoderDecoder, share_embeddings
from utils.models.encoders import CNNEncoder, FixedVectorEncoder, RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training import loop
from utils.training.config import TrainConfig
from utils.training.optimizers import adamw, muon

VOCABULARY, BATCH, BEAM, MAX_LENGTH, LOOKS = 4000, 64, 5, 60, 10
STEPS = {  # in the bake-off
    "LSTM": 1380, "LSTM + attention": 1350, "CNN": 1270, "Transformer": 680,
    "Transformer, AdamW": 910,
}  # fmt: skip
PENALTY = {"alpha": 1.0}
BONUSES = [{"alpha": 0.0, "bonus": bonus, "patience": 2} for bonus in (0.4, 0.6, 0.8)]
LONGER = {  # model, steps, dropout and how the beam's answers may be ranked
    "five minutes": ("LSTM + attention", 1650, 0.1, [PENALTY]),
    "fifteen minutes": ("GRU + attention", 5400, 0.2, [PENALTY, *BONUSES]),
}
LENGTHS = (0, 8, 10, 12, 14, 17, 100)  # bounds of the classes of source lengths, in words


def recurrent(fixed: bool, cell: str = "lstm") -> Callable[[int, float], EncoderDecoder]:
    """A bidirectional layer of `cell`, and two more around attention to its places.

    With `fixed`, a single place is left to look at: the encoder's vector.
    """

    def build(V: int, dropout: float) -> EncoderDecoder:
        encoder = RNNEncoder(V, width=256, layers=1, cell=cell, dropout=dropout)
        decoder = AttentionDecoder(
            V, width=256, layers=1, cell=cell, score="scaled", dropout=dropout
        )
        return EncoderDecoder(FixedVectorEncoder(encoder) if fixed else encoder, decoder)

    return build


def convolutional(V: int, dropout: float) -> EncoderDecoder:
    encoder = CNNEncoder(V, width=264, layers=2, dropout=dropout)
    return EncoderDecoder(encoder, CNNDecoder(V, width=264, layers=2, dropout=dropout))


def transformer(V: int, dropout: float) -> EncoderDecoder:
    sizes = {"width": 256, "layers": 2, "heads": 4, "hidden": 256, "dropout": dropout}
    return EncoderDecoder(TransformerEncoder(V, **sizes), TransformerDecoder(V, **sizes))


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained."""

    build: Callable[[int, float], EncoderDecoder]
    rate: float
    optimizer: Callable = adamw


MODELS = {
    "LSTM": Recipe(recurrent(fixed=True), rate=4e-3),
    "LSTM + attention": Recipe(recurrent(fixed=False), rate=4e-3),
    "CNN": Recipe(convolutional, rate=4e-3),
    "Transformer": Recipe(transformer, rate=8e-3, optimizer=muon),
    "Transformer, AdamW": Recipe(transformer, rate=2e-3),
    "GRU + attention": Recipe(recurrent(fixed=False, cell="gru"), rate=2e-3),
}


@dataclass(frozen=True)
class Task:
    """The sentences, their ids, and the tokenizer; `origin` is where the sentences come from."""

    corpus: Corpus
    tokenizer: BPETokenizer
    train: list
    valid: list

    @classmethod
    def load(cls) -> Task:
        corpus = load_pairs("multi30k", source="de", target="en")
        words = [sentence for pair in corpus.train for sentence in pair]
        tokenizer = BPETokenizer.train(words, max_size=VOCABULARY)
        train, valid = (encode_pairs(p, tokenizer) for p in (corpus.train, corpus.valid))
        return cls(corpus, tokenizer, train, valid)


def build(name: str, task: Task, seed: int, dropout: float) -> EncoderDecoder:
    runtime.seed_everything(seed)
    return share_embeddings(MODELS[name].build(len(task.tokenizer), dropout))


def fit(name, task: Task, seed: int, steps: int, rate: float, dropout: float):
    """A trained model, its History and the processor's seconds; weights: the best on validation."""
    model = build(name, task, seed, dropout)
    config = TrainConfig(
        steps=steps, learning_rate=rate, label_smoothing=0.1, evaluate_every=max(1, steps // LOOKS)
    )
    batches = PairBatches(task.train, batch_size=BATCH, seed=seed)
    valid, begun = pair_eval_batches(task.valid, batch_size=128), time.process_time()
    optimizer = MODELS[name].optimizer
    history = loop.fit(model, batches, config, valid=valid, progress=False, optimizer=optimizer)
    return model, history, time.process_time() - begun


def test(model: nn.Module, task: Task, rankings: list[dict]) -> dict:
    """What the trained model makes of the test set, greedily and with a beam.

    The beam's answers are ranked as has the best BLEU, of `rankings`, on the validation sentences.
    """

    def answer(pairs: list, beam: int | None, ranking: dict) -> list[str]:
        sources = [source for source, _ in pairs]
        return translate(
            model, sources, task.tokenizer, beam=BeamConfig(beam), max_length=MAX_LENGTH, **ranking
        )

    def on_valid(ranking: dict) -> float:
        references = [reference for _, reference in task.corpus.valid]
        return bleu_interval(
            answer(task.corpus.valid, BEAM, ranking), references, resamples=2
        ).score

    best = max(rankings, key=on_valid) if len(rankings) > 1 else rankings[0]
    references = [reference for _, reference in task.corpus.test]
    found: dict = {}
    for name, beam, ranking in (("greedy", None, {}), ("beam", BEAM, best)):
        begun = time.process_time()
        answers = answer(task.corpus.test, beam, ranking)
        speed = len(answers) / (time.process_time() - begun)
        bleu = bleu_interval(answers, references)
        found[name] = {
            "bleu": bleu.score, "low": bleu.low, "high": bleu.high, "signature": bleu.signature,
            "lowercased": bleu_interval(answers, references, lowercase=True).score,
            "chrf": chrf(answers, references), "by length": by_length(answers, task),
            "sentences a second": speed, "answers": answers, "ranking": ranking,
        }  # fmt: skip
    return found


def by_length(answers: list[str], task: Task) -> list[dict]:
    """BLEU of the sentences whose sources have so many words: from `low`, below `high`."""
    rows = []
    for low, high in zip(LENGTHS, LENGTHS[1:], strict=False):
        inside = [i for i, (s, _) in enumerate(task.corpus.test) if low <= len(s.split()) < high]
        pairs = [(answers[i], task.corpus.test[i][1]) for i in inside]
        score = bleu_interval(*zip(*pairs, strict=True), resamples=2).score if pairs else None
        rows.append({"low": low, "high": high, "sentences": len(pairs), "bleu": score})
    return rows


def run(
    name: str,
    seed: int,
    steps: int,
    rate: float,
    dropout: float,
    rankings: list[dict],
    commit: str | None,
) -> dict:
    """One model from one seed: its figures, on the test set unless `rankings` is empty.

    In a process of its own, on one thread, by the code of `commit`.
    """
    torch.set_num_threads(1)
    started, task = time.perf_counter(), Task.load()
    model, history, processor = fit(name, task, seed, steps, rate, dropout)
    valid = min(loss for _, loss in history.valid)  # of the weights that were kept
    found = {
        "parameters": count_parameters(model), "steps": steps, "rate": rate, "dropout": dropout,
        "curve": history.valid, "tokens": history.tokens, "wall": history.seconds,
        "processor": processor, "valid perplexity": perplexity(valid, 1),
    }  # fmt: skip
    if rankings:
        found["test"] = test(model, task, rankings)
        if seed:  # the answers of one seed are enough for examples and paired tests
            for part in found["test"].values():
                del part["answers"]
    best = found["test"]["beam"]["bleu"] if rankings else valid
    print(f"{name}, seed {seed}, rate {rate:g}, {steps} steps: {best:.4g}", flush=True)
    found["provenance"] = record.provenance(
        "translation",
        sys.argv[1:],
        commit=commit,
        seeds=[seed],
        origin=task.corpus.origin,
        started=started,
    )
    return found


def plan(chosen: argparse.Namespace) -> dict[str, tuple]:
    """What each name in the file is the result of: the arguments of `run`, but for the commit."""
    if chosen.part == "longer":
        return {
            f"{budget}, seed {seed}": (name, seed, steps, MODELS[name].rate, *how)
            for seed in chosen.seeds for budget, (name, steps, *how) in LONGER.items()
            if budget in chosen.budgets
        }  # fmt: skip
    if chosen.part == "rates":
        return {
            f"rate {rate:g}, {name}": (name, 0, STEPS[name], rate, 0.1, [])
            for name in chosen.models for rate in (MODELS[name].rate / 2, MODELS[name].rate * 2)
        }  # fmt: skip
    return {
        f"{name}, seed {seed}": (name, seed, STEPS[name], MODELS[name].rate, 0.1, [PENALTY])
        for seed in chosen.seeds for name in chosen.models
    }  # fmt: skip


def main(arguments: list[str]) -> None:
    parser = record.parser("translation", __doc__)
    parser.add_argument("part", choices=["bake-off", "longer", "rates"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--budgets", nargs="+", choices=list(LONGER), default=list(LONGER))
    parser.add_argument("--parallel", type=int, default=1, help="models trained at a time")
    chosen, commit = parser.parse_args(arguments), record.commit_now()
    with ProcessPoolExecutor(chosen.parallel, mp_context=get_context("spawn")) as pool:
        futures = {name: pool.submit(run, *given, commit) for name, given in plan(chosen).items()}
        for name, future in futures.items():
            record.write(chosen.out, {name: future.result()}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
