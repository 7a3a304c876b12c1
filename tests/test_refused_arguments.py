"""Every public callable refuses an argument of True or False that is neither, by its name.

Otherwise ``lowercase="no"`` would count as true.
"""

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import utils
from utils.command.job import RunConfig
from utils.data.batches import TextBatches
from utils.data.tokenizers import BPETokenizer, CharTokenizer, WordTokenizer
from utils.metrics.cost import count_parameters
from utils.metrics.significance import paired_bleu_p_value
from utils.metrics.text import bleu, bleu_interval
from utils.models.attention import fused_attention
from utils.models.convolutional import CNNDecoder
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.gated_convolution import GatedConvolution
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.layers import OutputLayer, make_final_norm, make_norm, make_tied_output
from utils.models.multi_head import CrossAttention, SelfAttention
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.ngram_estimates import choose_discounts, estimate_discounts
from utils.models.recurrent import InitialState, make_rnn
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.models.transformer_layer import TransformerLayer
from utils.notebook.plotting import curves
from utils.notebook.seed_plots import seed_curves
from utils.runtime import autocast
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.policy_gradient import group_advantages

TEXTS = ["a b c d", "a b c e"]
X = torch.ones(1, 2, 4)
VALUES = np.ones(3, int)
IDS = [4, 5, 6, 7] * 5
COUNTS = NGramCounts([IDS], order=2, vocab_size=9)
TRANSFORMER: dict[str, Any] = {"width": 8, "num_layers": 1, "num_heads": 2}


def train(**options):
    """Train a model for one step."""
    model = RNNLM(9, width=4)
    batches = TextBatches(IDS, batch_size=1, context_length=4)
    return fit(model, batches, TrainConfig(steps=1, learning_rate=0.1), **options)


# a call of each callable with all that it needs, except what is tested
CALLS = {
    "command.job.RunConfig": RunConfig,
    "data.batches.TextBatches": lambda **x: TextBatches(IDS, batch_size=1, context_length=4, **x),
    "data.tokenizer_base.TextEncoder.encode": lambda **x: CharTokenizer.train("ab").encode(
        "ab", **x
    ),
    "data.tokenizer_base.TextEncoder.encode_iterable": lambda **x: list(
        CharTokenizer.train("ab").encode_iterable(["a", "b"], **x)
    ),
    "data.tokenizer_base.VocabularyTokenizer.train": lambda **x: WordTokenizer.train("a b", **x),
    "data.tokenizers.BPETokenizer.train": lambda **x: BPETokenizer.train("a b", **x),
    "metrics.cost.count_parameters": lambda **x: count_parameters(nn.Linear(2, 2), **x),
    "metrics.significance.paired_bleu_p_value": lambda **x: paired_bleu_p_value(
        TEXTS, TEXTS[::-1], TEXTS, **x
    ),
    "metrics.text.bleu": lambda **x: bleu(TEXTS, TEXTS, **x),
    "metrics.text.bleu_interval": lambda **x: bleu_interval(TEXTS, TEXTS, num_resamples=2, **x),
    "models.attention.fused_attention": lambda **x: fused_attention(X, X, X, **x),
    "models.convolutional.CNNDecoder": lambda **x: CNNDecoder(9, width=4, num_layers=1, **x),
    "models.encoder_decoder.lstm_seq2seq": lambda **x: lstm_seq2seq(9, width=4, **x),
    "models.gated_convolution.GatedConvolution": lambda **x: GatedConvolution(4, **x),
    "models.gpt.GPT": lambda **x: GPT(9, **TRANSFORMER, **x),
    "models.language_models.NNLM": lambda **x: NNLM(9, **x),
    "models.language_models.RNNLM": lambda **x: RNNLM(9, width=4, **x),
    "models.layers.OutputLayer": lambda **x: OutputLayer(4, 9, **x),
    "models.layers.make_tied_output": lambda **x: make_tied_output(nn.Embedding(9, 4), **x),
    "models.layers.make_norm": lambda **x: make_norm("layer", 4, **x),
    "models.layers.make_final_norm": lambda **x: make_final_norm(4, **x),
    "models.multi_head.SelfAttention": lambda **x: SelfAttention(4, num_heads=2, **x),
    "models.multi_head.CrossAttention": lambda **x: CrossAttention(4, num_heads=2, **x),
    "models.ngram.NGramLM.kneser_ney": lambda **x: NGramLM.kneser_ney(COUNTS, **x),
    "models.ngram_counts.NGramCounts.count": lambda **x: COUNTS.count([4], **x),
    "models.ngram_estimates.estimate_discounts": lambda **x: estimate_discounts(
        np.ones(3, int), **x
    ),
    "models.ngram_estimates.choose_discounts": lambda **x: choose_discounts([np.ones(3)], 0.5, **x),
    "models.recurrent.make_rnn": lambda **x: make_rnn("gru", input_size=4, width=4, **x),
    "models.recurrent.InitialState": lambda **x: InitialState(4, cell="gru", **x),
    "models.recurrent_encoders.RNNEncoder": lambda **x: RNNEncoder(9, width=4, **x),
    "models.transformer.TransformerEncoder": lambda **x: TransformerEncoder(9, **TRANSFORMER, **x),
    "models.transformer.TransformerDecoder": lambda **x: TransformerDecoder(9, **TRANSFORMER, **x),
    "models.transformer_layer.TransformerLayer": lambda **x: TransformerLayer(8, num_heads=2, **x),
    "notebook.plotting.curves": lambda **x: curves({"a": ([1], [1])}, "x", "y", **x),
    "notebook.seed_plots.seed_curves": lambda **x: seed_curves(
        {"a": ([1], {0: [1]})}, "x", "y", **x
    ),
    "runtime.autocast": lambda **x: autocast(torch.device("cpu"), **x),
    "training.config.TrainConfig": lambda **x: TrainConfig(steps=1, learning_rate=0.1, **x),
    "training.loop.fit": train,
    "training.policy_gradient.group_advantages": lambda **x: group_advantages(
        torch.ones(1, 2), **x
    ),
}
# called only by the library, with flags of its own
INTERNAL = (
    "data.standins.",
    "data.tokenizer_base.training_texts",
    "files.exclusive",
    "metrics.sacrebleu_inputs.",
    "models.layers.ScaledEmbedding",  # arguments of torch's class
    "models.layers.TiedModule.load_state_dict",
    "models.transformer_stack.TransformerStack",  # of encoder and decoder
    "notebook.claims.seed_tests.",
    "training.distributed.",
    "training.progress.",
)


def public_callables():
    """The functions, classes and methods of the library by their names."""
    for info in pkgutil.walk_packages(utils.__path__, "utils."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != info.name:
                continue
            path = f"{info.name}.{name}".removeprefix("utils.")
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield path, thing
            if inspect.isclass(thing):
                for method, member in vars(thing).items():
                    function = getattr(member, "__func__", member)  # of a class method
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"{path}.{method}", function


def flags_of(thing):
    """The names of the arguments that are True or False."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # of a class of C
        return []
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [x.name for x in parameters if x.annotation in ("bool", bool) and x.kind not in kinds]


FLAGS = [
    (path, flag)
    for path, thing in public_callables()
    for flag in flags_of(thing)
    if not path.startswith(INTERNAL)
]


def test_calls_are_those_of_the_library():
    assert {path for path, _ in FLAGS} == {*CALLS}


@pytest.mark.parametrize("wrong", ["no", 0, 2, None], ids=repr)
@pytest.mark.parametrize("path, flag", FLAGS)
def test_what_is_neither_true_nor_false_is_refused(path, flag, wrong):
    with pytest.raises(ValueError, match=f"{flag} must be True or False, got {wrong!r}"):
        CALLS[path](**{flag: wrong})
