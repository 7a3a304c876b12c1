"""Digits in real voices, three measurements with several seeds.

    python -m benchmarks.speech PART

    dates       each speaker is held out in turn, at 10 dB: four train on random strings of digits,
                the next one chooses weight and bonus of an 8-gram of other dates, the one held out
                tests
    isolated    single digits as the corpus publishes them: recordings 0 to 4 of all speakers test,
                the others train; each with a moment of silence and a little noise around it, as
                features are relative to the clip; what is heard is the digit likeliest by CTC
    lengths     random strings of 3 to 8 digits train, of 3 to 16 test, of other recordings of the
                same voices, at 10 dB: CTC and attention, with location features and without, with
                the joint loss and without

Results go to book/results/speech.json, or where `--out=FILE` says, after each seed; a part that a
run does not make stays as it was there.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import torch

from benchmarks import record
from utils import runtime
from utils.data.corpora import load_digits
from utils.data.vocabulary import EOS
from utils.metrics import text as text_module
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.speech import ctc
from utils.speech.audio import (
    SAMPLE_RATE,
    add_noise,
    change_speed,
    concatenate_clips,
    normalize_loudness,
)
from utils.speech.ctc_recogniser import CTCRecogniser, frame_log_probs, train_recogniser
from utils.speech.ctc_search import prefix_beam_search
from utils.speech.digits import (
    DIGIT_TOKENIZER,
    RandomDigitStrings,
    random_digits,
    recordings_by_speaker,
    speak_digits,
)
from utils.speech.joint_recogniser import (
    JointRecogniser,
    attention_alignment,
    joint_objective,
    transcribe,
)

SNR, BEAM, DATES, STRIDES, AROUND = 10.0, 8, 100, (2, 2, 2), 0.15
GRID = list(itertools.product((0.25, 0.5, 0.75, 1.0), (0.0, 1.0)))
LENGTHS, STRINGS, WIDTH, RATE = (*range(3, 9), 10, 12, 14, 16), 50, 96, 2e-3
LISTENERS = {  # name → the weight of CTC in the loss, and the score of attention
    "joint, location": (0.3, "location"),
    "joint, content": (0.3, "additive"),
    "attention alone": (0.0, "location"),
}


def recogniser(voices: dict, steps: int, seed: int) -> CTCRecogniser:
    """Trained on random strings of digits in these voices."""
    runtime.seed_everything(seed)
    model = CTCRecogniser(len(DIGIT_TOKENIZER), strides=STRIDES).to(runtime.select_device())
    train_recogniser(
        model, RandomDigitStrings(voices, steps=steps), steps=steps, learning_rate=1.5e-3, seed=seed
    )
    return model


def error_rate(heard: list[list[int]], texts: list[str]) -> float:
    """Digits wrong, as a share of those said."""
    spelt = [" ".join(DIGIT_TOKENIZER.decode(ids)) for ids in heard]
    return text_module.word_errors(spelt, [" ".join(t) for t in texts]).rate


def word_errors(sounds: list, texts: list[str], lm=None, weight=0.0, bonus=0.0) -> float:
    """The error rate of CTC's search under both models."""
    rows = prefix_beam_search(
        sounds, beam_size=BEAM, language_model=lm, lm_weight=weight, token_bonus=bonus
    )
    return error_rate([row[0].ids for row in rows], texts)


def fold(voices: dict, held_out: int, steps: int, seed: int) -> dict:
    """One speaker tests, the next one chooses, the others train."""
    names = list(voices)
    test, valid = names[held_out], names[(held_out + 1) % len(names)]
    model = recogniser({n: v for n, v in voices.items() if n not in (test, valid)}, steps, seed)
    calendar = [f"{date(1950, 1, 1) + timedelta(days):%Y%m%d}" for days in range(36_525)]
    np.random.default_rng(seed).shuffle(calendar)
    said = {valid: calendar[:DATES], test: calendar[DATES : 2 * DATES]}
    known = [torch.tensor([*DIGIT_TOKENIZER.encode(d), EOS]) for d in calendar[2 * DATES :][:8000]]
    lm = NGramLM.kneser_ney(NGramCounts(known, order=8, vocab_size=len(DIGIT_TOKENIZER)))
    rng = np.random.default_rng([seed, held_out])
    sounds = {
        n: frame_log_probs(model, [speak_digits(t, voices[n], rng=rng, snr=SNR) for t in texts])
        for n, texts in said.items()
    }
    best = min(GRID, key=lambda pair: word_errors(sounds[valid], said[valid], lm, *pair))
    without = word_errors(sounds[test], said[test])
    fused = word_errors(sounds[test], said[test], lm, *best)
    print(f"seed {seed} {test:9s} WER {without:.3f} → {fused:.3f}, λ {best[0]} γ {best[1]}",
          flush=True)  # fmt: skip
    return {"speaker": test, "seed": seed, "without": without, "with": fused, "chosen": best}


def dates(corpus, steps: int, seed: int) -> list[dict]:
    """A fold for each speaker."""
    voices = recordings_by_speaker(corpus.all)
    return [fold(voices, speaker, steps, seed) for speaker in range(len(voices))]


def amid_silence(x: np.ndarray, rng: np.random.Generator, snr: float) -> np.ndarray:
    """A clip with AROUND seconds before and after it, and noise over all."""
    return add_noise(np.pad(x, int(AROUND * SAMPLE_RATE)), snr=snr, rng=rng)


def isolated(corpus, steps: int, seed: int) -> list[dict]:
    """The share of the test recordings of which the likeliest digit is the one said."""
    known = [*corpus.train, *corpus.valid]

    def make(rng: np.random.Generator, step: int):
        chosen = [known[i] for i in rng.integers(len(known), size=48)]
        clips = [
            change_speed(concatenate_clips([c.samples], rng=rng), rng.uniform(0.85, 1.18))
            for c in chosen
        ]
        noised = [amid_silence(x, rng, rng.uniform(8, 35)) for x in clips]
        return noised, [DIGIT_TOKENIZER.encode(str(c.digit)) for c in chosen]

    runtime.seed_everything(seed)
    model = CTCRecogniser(len(DIGIT_TOKENIZER), width=WIDTH, dropout=0.2, strides=STRIDES)
    train_recogniser(
        model.to(runtime.select_device()), make, steps=steps, learning_rate=RATE, seed=seed
    )
    rng, ids = (
        np.random.default_rng([seed, 1]),
        [DIGIT_TOKENIZER.encode(str(d))[0] for d in range(10)],
    )
    clips = [amid_silence(normalize_loudness(c.samples), rng, 25.0) for c in corpus.test]
    heard = frame_log_probs(model, clips)
    found = [min(range(10), key=lambda d: float(ctc.loss(h, [ids[d]]))) for h in heard]
    right = statistics.mean(f == c.digit for f, c in zip(found, corpus.test, strict=True))
    print(f"seed {seed} isolated digits: {right:.4f} right", flush=True)
    return [{"seed": seed, "right": right, "tested": len(found)}]


def lengths(corpus, steps: int, seed: int) -> list[dict]:
    """Error rates by length of the two readers of each listener, and one alignment of the first."""
    train, test = recordings_by_speaker(corpus.train), recordings_by_speaker(corpus.test)
    rng, names = np.random.default_rng([seed, 1]), list(test)
    texts = {n: [random_digits(rng, n) for _ in range(STRINGS)] for n in LENGTHS}
    clips = {
        n: [speak_digits(t, test[rng.choice(names)], rng=rng, snr=SNR) for t in of_length]
        for n, of_length in texts.items()
    }
    rows = []
    for name, (weight, score) in LISTENERS.items():
        runtime.seed_everything(seed)
        model = JointRecogniser(len(DIGIT_TOKENIZER), width=WIDTH, score=score, strides=STRIDES).to(
            runtime.select_device()
        )
        objective = joint_objective(weight)
        train_recogniser(
            model,
            RandomDigitStrings(train, steps=steps),
            steps=steps,
            learning_rate=RATE,
            seed=seed,
            objective=objective,
        )
        for reader, read in readers(model, weight).items():
            rates = [error_rate(read(clips[n]), texts[n]) for n in LENGTHS]
            rows.append({"listener": name, "reader": reader, "seed": seed, "rates": rates})
            print(f"seed {seed} {name}, {reader}: {[round(r, 3) for r in rates]}", flush=True)
        if weight and score == "location":
            rows[-1]["looked"] = looked(model, clips[16][0], texts[16][0])
    return rows


def readers(model: JointRecogniser, weight: float) -> dict[str, Callable]:
    """What reads clips, by name: CTC's best path where it was trained, a beam search of 4."""
    by_ctc = {"CTC": lambda clips: [ctc.best_path(s) for s in frame_log_probs(model.ear, clips)]}
    return (by_ctc if weight else {}) | {"attention": lambda clips: transcribe(model, clips)}


def looked(model: JointRecogniser, clip: np.ndarray, text: str) -> dict:
    """What was said, what was written, and where the decoder looked, a step of it a row."""
    (ids,) = transcribe(model, [clip])
    weights = attention_alignment(model, clip, ids).tolist()
    return {"said": text, "written": DIGIT_TOKENIZER.decode(ids),
            "weights": [[round(w, 3) for w in step] for step in weights]}  # fmt: skip


def summary(part: str, runs: list[dict]) -> dict:
    """Means over seeds and speakers."""
    if part == "isolated":
        return {"accuracy": statistics.mean(run["right"] for run in runs)}
    if part == "dates":
        means = {how: statistics.mean(r[how] for r in runs) for how in ("without", "with")}
        return {"means": means, "removed": 1 - means["with"] / means["without"]}
    curves: dict[str, list] = {}
    for run in runs:
        curves.setdefault(f"{run['listener']}: {run['reader']}", []).append(run["rates"])
    return {
        "lengths": list(LENGTHS),
        "means": {name: np.mean(rates, 0).tolist() for name, rates in curves.items()},
    }


PARTS = {"dates": (dates, 600), "isolated": (isolated, 1000), "lengths": (lengths, 900)}


def main(arguments: list[str]) -> None:
    parser = record.parser("speech", __doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of training, where not as many as usual")
    chosen = parser.parse_args(arguments)
    started, commit = time.perf_counter(), record.commit_now()
    measure, steps = PARTS[chosen.part]
    steps, corpus, runs = chosen.steps or steps, load_digits(), []
    for seed in range(chosen.seeds):
        runs += measure(corpus, steps, seed)
        found = {**summary(chosen.part, runs), "runs": runs, "steps": steps}
        found["provenance"] = record.provenance(
            "speech",
            arguments,
            commit=commit,
            seeds=list(range(seed + 1)),
            origin=corpus.origin,
            started=started,
        )
        record.write(chosen.out, {chosen.part: found}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
