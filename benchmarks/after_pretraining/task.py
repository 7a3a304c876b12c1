"""A task with answers that a program can check: where a lift stands after eight moves.

A house has the floors 0 to 4, and the lift starts on floor 0. It moves up (u), down (d) or waits
(w); at the top it cannot go up, and at the bottom not down. A question is "uuwdudwu?", its short
answer "=2" and its worked answer "12211012=2": the floor after each move, then the result.
Pretraining has English sentences and notes of rides, "uuwdudwu 12211012=2" or "uuwdudwu =2", in
which a floor is wrong now and then; it has no question mark.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from utils.data.answer_batches import answer_batch
from utils.data.batches import IGNORE_INDEX, Batch, pad
from utils.data.standins.pairs import realize
from utils.data.standins.sampler import MeaningSampler
from utils.data.tokenizers import CharTokenizer
from utils.data.vocabulary import BOS, EOS

MOVES, NUM_MOVES, TOP = "udw", 8, 4
MAX_ANSWER = 16  # tokens, EOS included
CUT_MARK = "…"  # after an answer that did not end
LONGEST_SENTENCE = 28
NUM_SENTENCES = 600
SLIP_RATE = 0.08  # of a floor in a note
SENTENCE_RATE = 1 / 3
TOKENIZER = CharTokenizer.train("abcdefghijklmnopqrstuvwxyz .01234=?")

Split: TypeAlias = Literal["pretraining", "tuning", "selection", "reporting"]
Style: TypeAlias = Literal["worked", "short", "mixed", "filler"]
SPLIT_OF = ("pretraining",) * 4 + ("tuning",) * 2 + ("selection",) * 2 + ("reporting",) * 2
STYLES = get_args(Style)


def split_of(moves: str) -> str:
    """Return the split of a ride, which has it in all runs."""
    return SPLIT_OF[zlib.crc32(moves.encode()) % len(SPLIT_OF)]


def draw_moves(rng: random.Random, split: Split) -> str:
    """Draw the moves of a ride of a split."""
    while True:
        moves = "".join(rng.choices(MOVES, k=NUM_MOVES))
        if split_of(moves) == split:
            return moves


def floors(moves: str, rng: random.Random | None = None) -> str:
    """Return the floor after each move, with slips if there is a generator for them."""
    floor, written = 0, ""
    for move in moves:
        floor = min(TOP, max(0, floor + (move == "u") - (move == "d")))
        if rng is not None and rng.random() < SLIP_RATE:
            floor = rng.randint(0, TOP)
        written += str(floor)
    return written


def demonstration(moves: str, style: Style, rng: random.Random) -> str:
    """Return a right answer, worked or short.

    "mixed" draws which; "filler" writes as many dots as a worked answer has floors.
    """
    written = floors(moves)
    if style == "filler":
        return f"{'.' * NUM_MOVES}={written[-1]}"
    is_worked = style == "worked" or (style == "mixed" and rng.random() < 0.5)
    return f"{written if is_worked else ''}={written[-1]}"


def right_reward(moves: str, answer: str) -> float:
    """Return 1 if an answer has one "=" and ends with it and the right floor, else 0."""
    return float(answer.count("=") == 1 and answer.endswith(f"={floors(moves)[-1]}"))


def is_worked(answer: str) -> bool:
    """Return whether something stands before the "=" of an answer."""
    return answer.find("=") > 0


def working_reward(moves: str, answer: str) -> float:
    """Return 1 if an answer is worked, and each floor and the result are right, else 0."""
    written = floors(moves)
    return float(answer == f"{written}={written[-1]}")


def length_reward(_moves: str, answer: str) -> float:
    """Return the characters of an answer, without the mark of a cut one, over a worked one's."""
    return len(answer.rstrip(CUT_MARK)) / (NUM_MOVES + 2)


def sentences() -> list[str]:
    """Draw short English sentences without duplicates, the same in all runs."""
    sampler, texts = MeaningSampler(0), dict[str, None]()
    while len(texts) < NUM_SENTENCES:
        text = realize(sampler.sentence(), "en").lower()
        if len(text) <= LONGEST_SENTENCE and text.isascii():
            texts[text] = None
    return list(texts)


SENTENCES = sentences()
HELD_OUT_SENTENCES, TRAIN_SENTENCES = SENTENCES[:150], SENTENCES[150:]


def pretraining_line(rng: random.Random) -> str:
    """Draw a sentence, or a note of a ride, worked or short."""
    if rng.random() < SENTENCE_RATE:
        return rng.choice(TRAIN_SENTENCES)
    moves = draw_moves(rng, "pretraining")
    written = floors(moves, rng)
    return f"{moves} {written if rng.random() < 0.5 else ''}={written[-1]}"


def prompt_ids(moves: str, mark: str = "?") -> list[int]:
    """Return the ids of a question; with a space as its mark, it is the beginning of a note."""
    return [BOS, *TOKENIZER.encode(f"{moves}{mark}")]


def answer_ids(answer: str) -> list[int]:
    """Return the ids of an answer that ends."""
    return [*TOKENIZER.encode(answer), EOS]


def question_batch(pairs: Sequence[tuple[str, str]]) -> Batch:
    """Make a batch of moves and answers whose targets are the answers."""
    return answer_batch((prompt_ids(d) for d, _ in pairs), (answer_ids(a) for _, a in pairs))


def line_batch(lines: Sequence[str]) -> Batch:
    """Make a batch of lines, all of whose tokens are targets."""
    rows = [[BOS, *TOKENIZER.encode(line), EOS] for line in lines]
    return Batch(pad(row[:-1] for row in rows), pad((row[1:] for row in rows), IGNORE_INDEX))


def stream_rng(seed: int, step: int) -> random.Random:
    """Return the generator of a step, which depends on the seed and the step."""
    return random.Random(1_000_003 * seed + step)


class PretrainingLines:
    """Batches of lines: ``stream[step]`` depends on the seed and the step.

    Parameters
    ----------
    batch_size
        Number of lines.
    seed
        The seed.
    """

    def __init__(self, *, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed = batch_size, seed

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = stream_rng(self.seed, step)
        return line_batch([pretraining_line(rng) for _ in range(self.batch_size)])


class Demonstrations:
    """Batches of a fixed number of questions with right answers.

    Parameters
    ----------
    pairs
        Moves and answers.
    batch_size
        Number of pairs in a batch.
    seed
        The seed of their order.
    num_replayed
        How many rows of a batch are lines of pretraining instead.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        batch_size: int,
        seed: int,
        num_replayed: int = 0,
    ) -> None:
        self.pairs, self.batch_size, self.seed = pairs, batch_size, seed
        self.num_replayed = num_replayed

    def __getitem__(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = stream_rng(self.seed, step)
        chosen = rng.choices(self.pairs, k=self.batch_size - self.num_replayed)
        prompts = [prompt_ids(moves) for moves, _ in chosen] + [[BOS]] * self.num_replayed
        lines = [pretraining_line(rng) for _ in range(self.num_replayed)]
        return answer_batch(prompts, map(answer_ids, [answer for _, answer in chosen] + lines))


def demonstrations(style: Style, count: int, *, seed: int) -> list[tuple[str, str]]:
    """Draw questions with right answers."""
    rng = random.Random(seed)
    questions = [draw_moves(rng, "tuning") for _ in range(count)]
    return [(moves, demonstration(moves, style, rng)) for moves in questions]


def questions(split: Split, count: int, *, seed: int = 0) -> list[str]:
    """Draw different questions of a split."""
    rng, drawn = random.Random(seed), dict[str, None]()
    while len(drawn) < count:
        drawn[draw_moves(rng, split)] = None
    return list(drawn)
