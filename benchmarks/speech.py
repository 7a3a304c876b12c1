"""Dates in real voices and isolated digits, every speaker held out in turn, several seeds.

    python benchmarks/speech.py --seeds 3            dates: each speaker tests once a seed
    python benchmarks/speech.py --seeds 3 --isolated recordings 0-4 test, as the corpus publishes

Dates: four speakers train on random strings of digits, the next one chooses weight and bonus of an
8-gram of other dates, the one held out tests, at 10 dB. Isolated digits: all speakers train, on
recordings 10 to 49, and each test recording is the digit that CTC finds likeliest.
Results go to book/results/speech.json, or where `--out=FILE` says; a part that a run does not make
stays as it was there.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import record  # noqa: E402
from utils import ctc, metrics, runtime, speech, training  # noqa: E402
from utils.data import load_digits  # noqa: E402
from utils.ngram import NGramCounts, NGramLM  # noqa: E402
from utils.training import TrainConfig  # noqa: E402
from utils.vocab import EOS, CharTokenizer  # noqa: E402

TOKENS = CharTokenizer.train("0123456789")
SNR, BEAM, DATES, SINGLE, DIGITS = 10.0, 8, 100, 0.3, 48
GRID = list(itertools.product((0.25, 0.5, 0.75, 1.0), (0.0, 1.0)))


def recogniser(voices: dict, steps: int, seed: int, longest: int = 8) -> speech.Recogniser:
    """Trained on random strings of 3 to `longest` digits in these voices, single digits first."""
    names = list(voices)

    def make(rng: np.random.Generator, step: int):
        single = step < SINGLE * steps or longest == 1
        length = 1 if single else int(rng.integers(3, longest + 1))
        texts = ["".join(rng.choice(list("0123456789"), length)) for _ in range(DIGITS // length)]
        clips = [
            speech.say(t, voices[rng.choice(names)], rng, rng.uniform(5, 25), (0.8, 1.25))
            for t in texts
        ]
        return clips, [TOKENS.encode(t) for t in texts]

    runtime.seed_everything(seed)
    model = speech.Recogniser(len(TOKENS), strides=(2, 2, 2)).to(runtime.device())
    config = TrainConfig(steps=steps, learning_rate=1.5e-3, warmup=0.05, clip=5.0)
    batches = speech.SoundBatches(make, seed)
    training.fit(model, batches, config, progress=False, objective=speech.ctc_objective)
    return model


def word_errors(sounds: list, texts: list[str], lm=None, weight=0.0, bonus=0.0) -> float:
    """Digits wrong, as a share of those said."""
    rows = ctc.beam_search(sounds, BEAM, lm, weight, bonus)
    heard = [" ".join(TOKENS.decode(row[0].ids)) for row in rows]
    return metrics.word_errors(heard, [" ".join(t) for t in texts]).rate


def fold(voices: dict, held_out: int, steps: int, seed: int) -> dict:
    """One speaker tests, the next one chooses, the others train."""
    names = list(voices)
    test, valid = names[held_out], names[(held_out + 1) % len(names)]
    model = recogniser({n: v for n, v in voices.items() if n not in (test, valid)}, steps, seed)
    calendar = [f"{date(1950, 1, 1) + timedelta(days):%Y%m%d}" for days in range(36_525)]
    np.random.default_rng(seed).shuffle(calendar)
    said = {valid: calendar[:DATES], test: calendar[DATES : 2 * DATES]}
    known = [torch.tensor([*TOKENS.encode(d), EOS]) for d in calendar[2 * DATES :][:8000]]
    lm = NGramLM.kneser_ney(NGramCounts(known, 8, len(TOKENS)))
    rng = np.random.default_rng([seed, held_out])
    sounds = {
        n: speech.listen(model, [speech.say(t, voices[n], rng, SNR) for t in texts])
        for n, texts in said.items()
    }
    best = min(GRID, key=lambda pair: word_errors(sounds[valid], said[valid], lm, *pair))
    without = word_errors(sounds[test], said[test])
    fused = word_errors(sounds[test], said[test], lm, *best)
    print(f"seed {seed} {test:9s} WER {without:.3f} → {fused:.3f}, λ {best[0]} γ {best[1]}")
    return {"speaker": test, "seed": seed, "without": without, "with": fused, "chosen": best}


def isolated(corpus, steps: int, seed: int) -> float:
    """The share of the test recordings of which the likeliest digit is the one said."""
    model = recogniser(speech.voices(corpus.train), steps, seed, longest=1)
    heard = speech.listen(model, [speech.normalized(c.samples) for c in corpus.test])
    ids = [TOKENS.encode(str(d))[0] for d in range(10)]
    found = [min(range(10), key=lambda d: float(ctc.loss(h, [ids[d]]))) for h in heard]
    right = statistics.mean(f == c.digit for f, c in zip(found, corpus.test, strict=True))
    print(f"seed {seed} isolated digits: {right:.4f} right")
    return right


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--speakers", type=int, default=6, help="how many test, from the first on")
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--out", type=Path, default=record.RESULTS / "speech.json")
    chosen = parser.parse_args(arguments)
    begun, commit = time.perf_counter(), record.commit_now()
    corpus, seeds = load_digits(), range(chosen.seeds)
    if chosen.isolated:
        name = "isolated"
        right = [isolated(corpus, chosen.steps, seed) for seed in seeds]
        found = {"accuracy": statistics.mean(right), "runs": right}
    else:
        name, voices = "dates", speech.voices(corpus.all)
        tests = list(itertools.product(seeds, range(min(chosen.speakers, len(voices)))))
        runs = [fold(voices, speaker, chosen.steps, seed) for seed, speaker in tests]
        means = {how: statistics.mean(run[how] for run in runs) for how in ("without", "with")}
        found = {"means": means, "removed": 1 - means["with"] / means["without"], "runs": runs}
    found |= {"steps": chosen.steps, "provenance": record.provenance(
        "speech.py", arguments, commit, list(seeds), corpus.origin, begun)}  # fmt: skip
    record.write(chosen.out, {name: found}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
