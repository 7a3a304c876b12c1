"""How fast translation trains and decodes.

    python -m benchmarks.translation_speed PART

    training   the book's models against the step of well-known tutorials, in real target tokens a
               second at equal numbers of parameters
    decoding   the whole test set in batches, with caches, against one sentence at a time: with the
               cache as well, and as a tutorial's Transformer does it, reading its answer anew for
               each word

The tutorials' side is written here anew as they do it: random batches of 128 padded to the longest
sentence; recurrent decoders that are called token by token, with the model's own word half of the
time; a Transformer with its attention spelled out. The book's side: batches of equal source length,
a known target read in one call, fused attention, one matrix for the target's words and its output.
Both sides have words of their own for the source, the same loss and the same optimizer. They take
turns in one process, on one thread, and each round gives the ratio of their processor times;
medians and quartiles go to book/results/translation_speed.json.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import record
from benchmarks.translation import BEAM, MAX_LENGTH, Task
from utils import runtime
from utils.data.batches import IGNORE, Batch
from utils.data.pair_batches import PairBatches, pair_batch
from utils.data.vocabulary import PAD
from utils.decoding import translation
from utils.decoding.search import BeamConfig
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training.config import TrainConfig
from utils.training.evaluation import count_tokens
from utils.training.loop import fit
from utils.training.objectives import cross_entropy
from utils.training.optimizers import adamw, muon

BATCH = 128


class StepwiseLSTM(nn.Module):
    """Two LSTM layers each side; the decoder is called for one token at a time."""

    def __init__(self, V: int, embedding: int = 128, width: int = 256):
        super().__init__()
        self.words = nn.ModuleList(nn.Embedding(V, embedding) for _ in range(2))
        self.encoder = nn.LSTM(embedding, width, 2, dropout=0.5)
        self.decoder = nn.LSTM(embedding, width, 2, dropout=0.5)
        self.output, self.dropout = nn.Linear(width, V), nn.Dropout(0.5)

    def start(self, source: torch.Tensor) -> tuple:
        return self.encoder(self.dropout(self.words[0](source.T)))[1]

    def step(self, ids: torch.Tensor, state: tuple) -> tuple[torch.Tensor, tuple]:
        x, state = self.decoder(self.dropout(self.words[1](ids))[None], state)
        return self.output(x[0]), state

    def forward(self, source: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """source (B, S), inputs (B, T) → logits (B, T, V)."""
        state, ids, found = self.start(source), inputs[:, 0], []
        for t in range(inputs.shape[1]):
            logits, state = self.step(ids, state)
            found.append(logits)
            own = torch.rand(()) < 0.5 or t + 1 == inputs.shape[1]
            ids = logits.argmax(-1) if own else inputs[:, t + 1]
        return torch.stack(found, 1)


class StepwiseAttention(StepwiseLSTM):
    """A bidirectional GRU; the decoder's GRU looks at its places by additive attention."""

    def __init__(self, V: int, embedding: int = 128, width: int = 192):
        nn.Module.__init__(self)
        self.words = nn.ModuleList(nn.Embedding(V, embedding) for _ in range(2))
        self.encoder = nn.GRU(embedding, width, bidirectional=True)
        self.first, self.dropout = nn.Linear(2 * width, width), nn.Dropout(0.5)
        self.energy, self.weigh = nn.Linear(3 * width, width), nn.Linear(width, 1, bias=False)
        self.decoder = nn.GRU(embedding + 2 * width, width)
        self.output = nn.Linear(embedding + 3 * width, V)

    def start(self, source: torch.Tensor) -> tuple:
        places, last = self.encoder(self.dropout(self.words[0](source.T)))  # (S, B, 2D)
        first = self.first(torch.cat([last[0], last[1]], -1)).tanh()  # (B, D)
        return first, places.transpose(0, 1), source != PAD

    def step(self, ids: torch.Tensor, state: tuple) -> tuple[torch.Tensor, tuple]:
        h, places, seen = state
        words = self.dropout(self.words[1](ids))  # (B, E)
        query = h[:, None].expand(-1, places.shape[1], -1)  # (B, S, D)
        scores = self.weigh(self.energy(torch.cat([query, places], -1)).tanh())[..., 0]
        weights = scores.masked_fill(~seen, -1e10).softmax(-1)  # (B, S)
        c = (weights[:, None] @ places)[:, 0]  # (B, 2D)
        x, h = self.decoder(torch.cat([words, c], -1)[None], h[None])
        return self.output(torch.cat([x[0], c, words], -1)), (h[0], places, seen)


class PlainAttention(nn.Module):
    """Eight heads, with the weights made, masked and normalized one after the other."""

    def __init__(self, D: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q(x), self.k(memory), self.v(memory))
        )  # (B, H, T or S, D/H)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = F.dropout(scores.masked_fill(~mask, -1e10).softmax(-1), 0.1, self.training)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class PlainLayer(nn.Module):
    """Post-norm; with `cross`, attention to the source between the two parts."""

    def __init__(self, D: int, heads: int, hidden: int, cross: bool):
        super().__init__()
        self.attentions = nn.ModuleList(PlainAttention(D, heads) for _ in range(1 + cross))
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(2 + cross))
        self.expand, self.contract = nn.Linear(D, hidden), nn.Linear(hidden, D)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x, mask, memory=None, seen=None):
        for i, attention in enumerate(self.attentions):
            found = attention(x, memory, seen) if i else attention(x, x, mask)
            x = self.norms[i](x + self.dropout(found))
        hidden = self.contract(self.dropout(self.expand(x).relu()))
        return self.norms[-1](x + self.dropout(hidden))


class PlainTransformer(nn.Module):
    """Three layers each side, 256 wide, 8 heads, 512 hidden; learned positions."""

    def __init__(self, V: int, D: int = 256, heads: int = 8, hidden: int = 512, layers: int = 3):
        super().__init__()
        self.words = nn.ModuleList(nn.Embedding(V, D) for _ in range(2))
        self.places = nn.ModuleList(nn.Embedding(100, D) for _ in range(2))
        self.encoder, self.decoder = (
            nn.ModuleList(PlainLayer(D, heads, hidden, cross) for _ in range(layers))
            for cross in (False, True)
        )
        self.output, self.dropout, self.D = nn.Linear(D, V), nn.Dropout(0.1), D

    def forward(self, source: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """source (B, S), inputs (B, T) → logits (B, T, V)."""
        seen = (source != PAD)[:, None, None]  # (B, 1, 1, S)
        past = torch.ones(inputs.shape[1], inputs.shape[1], dtype=torch.bool).tril()
        memory, x = (self._words(i, ids) for i, ids in enumerate((source, inputs)))
        for layer in self.encoder:
            memory = layer(memory, seen)
        for layer in self.decoder:
            x = layer(x, past & (inputs != PAD)[:, None, None], memory, seen)
        return self.output(x)

    def _words(self, i: int, ids: torch.Tensor) -> torch.Tensor:
        places = self.places[i](torch.arange(ids.shape[1]))
        return self.dropout(self.words[i](ids) * self.D**0.5 + places)


def attention_gru(V: int, D: int) -> EncoderDecoder:
    decoder = AttentionDecoder(V, width=D, score="scaled", dropout=0.1)
    return EncoderDecoder(RNNEncoder(V, width=D, dropout=0.1), decoder)


def transformer(V: int, D: int) -> EncoderDecoder:
    sizes = {"width": D, "layers": 3, "heads": 8, "hidden": 512, "dropout": 0.1}
    return EncoderDecoder(TransformerEncoder(V, **sizes), TransformerDecoder(V, **sizes))


RIVALS = {  # the tutorial's model, and the book's by its width
    "attention GRU": (StepwiseAttention, attention_gru),
    "LSTM": (
        StepwiseLSTM,
        lambda V, D: lstm_seq2seq(V, width=D, layers=2, dropout=0.1, share_embedding=False),
    ),
    "Transformer": (PlainTransformer, transformer),
}
WIDTHS = range(192, 641, 8)  # those that are tried


class Forgetful(nn.Module):
    """A model of the contract that keeps no cache: each call reads the answer from its start."""

    def __init__(self, model: EncoderDecoder):
        super().__init__()
        self.model = model

    def encode(self, source: torch.Tensor) -> dict:
        return {"first": self.model.encode(source), "read": source[:, :0]}

    def forward(self, ids: torch.Tensor, state: dict) -> tuple[torch.Tensor, dict]:
        read = torch.cat([state["read"], ids], 1)  # (B, T so far)
        logits, _ = self.model(read, state["first"])
        return logits[:, -ids.shape[1] :], {"first": state["first"], "read": read}


@dataclass(frozen=True)
class Decoding:
    """What is decoded by which model, and what the one-at-a-time side makes of that model."""

    build: Callable
    optimizer: Callable
    beam: int | None
    alone: Callable = lambda model: model


DECODING = {
    "greedy": Decoding(attention_gru, adamw, None),
    f"beam of {BEAM}": Decoding(attention_gru, adamw, BEAM),
    "Transformer, greedy, no cache": Decoding(transformer, muon, None, Forgetful),
    f"Transformer, beam of {BEAM}, no cache": Decoding(transformer, muon, BEAM, Forgetful),
}


def equal_width(build, V: int, wanted: int) -> int:
    """The width at which the book's model has the number of parameters nearest to `wanted`."""
    return min(WIDTHS, key=lambda D: abs(count_parameters(build(V, D)) - wanted))


def padded_batches(pairs: list, count: int) -> list[Batch]:
    """Batches as the tutorials draw them: any 128 sentences, filled up to the longest."""
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    chosen = [[pairs[i] for i in order[k * BATCH : (k + 1) * BATCH]] for k in range(count)]
    return [pair_batch(group) for group in chosen]


def tokens_a_second(model, batches, theirs: bool) -> float:
    """Real target tokens a processor second, of whole training steps."""
    optimizer = adamw(model, TrainConfig())
    model.train()
    begun, tokens = time.process_time(), 0
    for batch in batches:
        if theirs:
            logits = model(batch.source, batch.inputs).flatten(0, 1)
            loss = F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORE)
        else:
            loss = cross_entropy(model, batch) / count_tokens(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += count_tokens(batch)
    return tokens / (time.process_time() - begun)


def train_rounds(task: Task, name: str, rounds: int) -> dict:
    """The two sides in turn; each is first in every other round."""
    runtime.seed_everything(0)
    V = len(task.tokenizer)
    plain, build = RIVALS[name]
    theirs = plain(V)
    width = equal_width(build, V, count_parameters(theirs))
    sides = [build(V, width), theirs]
    stream = PairBatches(task.train, batch_size=BATCH, seed=0)
    fed = padded_batches(task.train, 2 * (rounds + 1))
    speeds: list[tuple[float, float]] = []
    for turn in range(rounds + 1):
        each = {}
        for side in (0, 1) if turn % 2 else (1, 0):
            own = [stream[3 * turn + i] for i in range(3)]
            batches = fed[2 * turn : 2 * turn + 2] if side else own
            each[side] = tokens_a_second(sides[side], batches, bool(side))
        speeds.append((each[0], each[1]))
    return figures(speeds[1:]) | {
        "parameters": [count_parameters(side) for side in sides], "width": width,
    }  # fmt: skip


def figures(speeds: list[tuple[float, float]]) -> dict:
    low, median, high = statistics.quantiles([ours / other for ours, other in speeds], n=4)
    ours, other = (statistics.median(side) for side in zip(*speeds, strict=True))
    return {
        "ratio": median, "quartiles": [low, high], "rounds": len(speeds),
        "book": ours, "other": other,
    }  # fmt: skip


def beginner(task: Task, case: Decoding) -> EncoderDecoder:
    """The model of `case` after 200 steps: it writes sentences, and ends them."""
    runtime.seed_everything(0)
    model, config = case.build(len(task.tokenizer), 256), TrainConfig(steps=200)
    stream = PairBatches(task.train, batch_size=64, seed=0)
    fit(model, stream, config, progress=False, optimizer=case.optimizer)
    return model


def decode_rounds(task: Task, model, case: Decoding, rounds: int, some: int = 20) -> dict:
    """The whole test set in batches against `some` of its sentences, one at a time."""
    other = case.alone(model)
    sources, speeds = [source for source, _ in task.corpus.test], []
    for turn in range(rounds):
        each = {}
        chosen = sources[some * turn : some * turn + some]
        for side in (0, 1) if turn % 2 else (1, 0):
            begun = time.process_time()
            if side:
                alone = [translate(other, [source], task, case.beam)[0] for source in chosen]
            else:
                whole = translate(model, sources, task, case.beam)
            count = len(chosen if side else sources)
            each[side] = count / (time.process_time() - begun)
        same = sum(map(str.__eq__, alone, whole[some * turn : some * turn + some]))
        assert same == some, f"{some - same} of {some} sentences came out differently when alone"
        speeds.append((each[0], each[1]))
    return figures(speeds)


def translate(model, sources: list[str], task: Task, beam: int | None) -> list[str]:
    return translation.translate(
        model, sources, task.tokenizer, beam=BeamConfig(beam), max_length=MAX_LENGTH
    )


def main(arguments: list[str]) -> None:
    parser = record.parser("translation_speed", __doc__)
    parser.add_argument("part", choices=["training", "decoding"])
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started, commit, task = time.perf_counter(), record.commit_now(), Task.load()
    found, models = {}, {}
    for name in RIVALS if chosen.part == "training" else ():
        found[name] = train_rounds(task, name, chosen.rounds)
        print(name, found[name], flush=True)
    for name, case in DECODING.items() if chosen.part == "decoding" else ():
        if case.build not in models:  # greedy and beam search read with the same model
            models[case.build] = beginner(task, case)
        found[name] = decode_rounds(task, models[case.build], case, chosen.rounds)
        print(name, found[name], flush=True)
    found["provenance"] = record.provenance(
        "translation_speed",
        arguments,
        commit=commit,
        seeds=[0],
        origin=task.corpus.origin,
        started=started,
    )
    record.write(chosen.out, {chosen.part: found}, keep=True)


if __name__ == "__main__":
    main(sys.argv[1:])
