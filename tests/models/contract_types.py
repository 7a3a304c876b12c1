"""Types of the contract, which `make lint` checks: no test runs this file, mypy reads it.

Each model of the library is assigned to a variable of the type that it must have. What follows
after that are mistakes: mypy must find an error where `type: ignore` expects one, and complains of
an ignored error that it does not find (`warn_unused_ignores`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNNEncoder
from utils.models.contract import (
    ConditionalLanguageModel,
    Decoder,
    Encoder,
    LanguageModel,
    LSTMState,
    Memory,
    NextTokenModel,
    TextScorer,
)
from utils.models.convolutional import CNNDecoder, CNNDecoderState, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.gpt import GPT, GPTState
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.pooling import FixedVectorEncoder
from utils.models.recurrent import RecurrentState
from utils.models.recurrent_decoders import RNNDecoder, RNNDecoderState
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer


class WithoutBegin(nn.Module):
    """A decoder that cannot compute its first state."""

    def forward(self, ids: torch.Tensor, state: LSTMState) -> tuple[torch.Tensor, LSTMState]:
        raise NotImplementedError


class WithoutState(nn.Module):
    """A decoder that neither takes nor returns a state."""

    def begin(self, memory: Memory) -> LSTMState:
        raise NotImplementedError

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class WithTwoStates(WithoutBegin):
    """A decoder that begins with a state of another type than it takes."""

    def begin(self, memory: Memory) -> torch.Tensor:
        raise NotImplementedError


class LogitsOnly(nn.Module):
    """A language model that takes a state and returns none."""

    def forward(self, ids: torch.Tensor, state: Any = None) -> torch.Tensor:
        raise NotImplementedError


class WithLengths(nn.Module):
    """A language model, and an encoder, that need one more argument."""

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, LSTMState]:
        raise NotImplementedError


class VectorsOnly(nn.Module):
    """An encoder that returns a tensor in place of a Memory."""

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


if TYPE_CHECKING:
    V = 11
    nnlm: LanguageModel[torch.Tensor] = NNLM(V)
    rnnlm: LanguageModel[RecurrentState] = RNNLM(V)
    gpt: LanguageModel[GPTState] = GPT(V)

    def ngram_model(model: NGramLM) -> tuple[LanguageModel[torch.Tensor], TextScorer]:
        return model, model

    lstm_encoder: Encoder = LSTMEncoder(V)
    rnn_encoder: Encoder = RNNEncoder(V)
    cnn_encoder: Encoder = CNNEncoder(V)
    transformer_encoder: Encoder = TransformerEncoder(V)
    word_encoder: Encoder = WordCNNEncoder(V)
    fixed_vector_encoder: Encoder = FixedVectorEncoder(rnn_encoder)
    language_model_encoder: Encoder = LanguageModelEncoder(GPT(V))

    rnnlm_decoder: Decoder[RecurrentState] = RNNLM(V, cell="lstm")
    rnn_decoder: Decoder[RNNDecoderState] = RNNDecoder(V)
    attention_decoder: Decoder[AttentionDecoderState] = AttentionDecoder(V)
    cnn_decoder: Decoder[CNNDecoderState] = CNNDecoder(V)
    transformer_decoder: Decoder[TransformerDecoderState] = TransformerDecoder(V)

    lstm_translator: ConditionalLanguageModel[RecurrentState] = lstm_seq2seq(V)
    translator: EncoderDecoder[CNNDecoderState] = EncoderDecoder(rnn_encoder, CNNDecoder(V))
    cnn_translator: ConditionalLanguageModel[CNNDecoderState] = translator
    searched: list[NextTokenModel[Any]] = [GPT(V), AttentionDecoder(V), translator]
    speech_writer: NextTokenModel[Any] = JointRecognizer(V)

    # a language model
    lm_1: LanguageModel = RNNEncoder(V)  # type: ignore[assignment]
    lm_2: LanguageModel = AttentionDecoder(V)  # type: ignore[assignment]
    lm_3: LanguageModel = Classifier(rnn_encoder, input_size=4)  # type: ignore[assignment]
    lm_4: LanguageModel = CTCRecognizer(V)  # type: ignore[assignment]
    lm_5: LanguageModel = LogitsOnly()  # type: ignore[assignment]
    lm_6: LanguageModel = WithLengths()  # type: ignore[assignment]
    lm_7: LanguageModel[LSTMState] = GPT(V)  # type: ignore[assignment]
    next_1: NextTokenModel = RNNEncoder(V)  # type: ignore[assignment]
    next_2: NextTokenModel = LogitsOnly()  # type: ignore[assignment]
    next_3: NextTokenModel[LSTMState] = AttentionDecoder(V)  # type: ignore[assignment]

    # a language model that scores texts itself
    scorer_1: TextScorer = GPT(V)  # type: ignore[assignment]
    scorer_2: TextScorer = AttentionDecoder(V)  # type: ignore[assignment]

    # an encoder
    encoder_1: Encoder = GPT(V)  # type: ignore[assignment]
    encoder_2: Encoder = RNNDecoder(V)  # type: ignore[assignment]
    encoder_3: Encoder = WithLengths()  # type: ignore[assignment]
    encoder_4: Encoder = VectorsOnly()  # type: ignore[assignment]
    encoder_5: Encoder = CTCRecognizer(V)  # type: ignore[assignment]

    # a decoder
    decoder_1: Decoder = GPT(V)  # type: ignore[assignment]
    decoder_2: Decoder = RNNEncoder(V)  # type: ignore[assignment]
    decoder_3: Decoder = WithoutBegin()  # type: ignore[assignment]
    decoder_4: Decoder = WithoutState()  # type: ignore[assignment]
    decoder_5: Decoder[LSTMState] = WithTwoStates()  # type: ignore[assignment]
    decoder_6: Decoder[RNNDecoderState] = CNNDecoder(V)  # type: ignore[assignment]

    # both in one
    pair_1: ConditionalLanguageModel = GPT(V)  # type: ignore[assignment]
    pair_2: ConditionalLanguageModel = AttentionDecoder(V)  # type: ignore[assignment]
    pair_3: ConditionalLanguageModel = JointRecognizer(V)  # type: ignore[assignment]
    pair_4: ConditionalLanguageModel[LSTMState] = translator  # type: ignore[assignment]
    EncoderDecoder(GPT(V), RNNDecoder(V))  # type: ignore[arg-type]
    EncoderDecoder(RNNEncoder(V), GPT(V))  # type: ignore[arg-type]
    Classifier(AttentionDecoder(V), input_size=4)  # type: ignore[arg-type]
