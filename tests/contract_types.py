"""Types of the contract, which `make lint` checks: no test runs this file, mypy reads it.

Each model of the library is assigned to a variable of the type that it must have, and called. What
follows after that are mistakes: mypy must find an error where `type: ignore` expects one, and
complains of an ignored error that it does not find (`warn_unused_ignores`). The types of training
are in tests/training/objective_types.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from typing_extensions import assert_type

from utils.command.run_folder import load_trained_model
from utils.contract import (
    ConditionalLanguageModel,
    Decoder,
    Encoder,
    LanguageModel,
    NextTokenModel,
    SpeechRecognizer,
    TextScorer,
)
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search, best_sequences
from utils.decoding.greedy_search import greedy_search
from utils.decoding.sampling import sample
from utils.decoding.scoring import token_log_probs
from utils.decoding.translation import decode_sources, translate
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNNEncoder
from utils.models.convolutional import CNNDecoder, CNNDecoderState, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.gpt import GPT, GPTState
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.recurrent import RecurrentState, make_rnn
from utils.models.recurrent_decoders import LSTMDecoder, RNNDecoder, RNNDecoderState
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.states import LSTMState, Memory, RecurrentMemory


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
    ids, source = torch.tensor([[1, 5]]), torch.tensor([[4, 5]])
    h = torch.zeros(1, 2, 256)

    nnlm: LanguageModel[torch.Tensor] = NNLM(V)
    rnnlm: LanguageModel[RecurrentState] = RNNLM(V)
    gpt: LanguageModel[GPTState] = GPT(V)

    def ngram_model(model: NGramLM) -> tuple[LanguageModel[torch.Tensor], TextScorer]:
        return model, model

    lstm_encoder: Encoder[RecurrentMemory] = LSTMEncoder(V)
    rnn_encoder: Encoder[Memory] = RNNEncoder(V)
    cnn_encoder: Encoder[Memory] = CNNEncoder(V)
    transformer_encoder: Encoder[Memory] = TransformerEncoder(V)
    word_encoder: Encoder[Memory] = WordCNNEncoder(V)
    fixed_vector_encoder: Encoder[Memory] = FixedVectorEncoder(lstm_encoder)
    language_model_encoder: Encoder[Memory] = LanguageModelEncoder(GPT(V))

    lstm_decoder: Decoder[RecurrentMemory, LSTMState] = LSTMDecoder(V)
    rnn_decoder: Decoder[Memory, RNNDecoderState] = RNNDecoder(V)
    attention_decoder: Decoder[Memory, AttentionDecoderState] = AttentionDecoder(V)
    cnn_decoder: Decoder[Memory, CNNDecoderState] = CNNDecoder(V)
    transformer_decoder: Decoder[Memory, TransformerDecoderState] = TransformerDecoder(V)

    lstm_translator: ConditionalLanguageModel[LSTMState] = lstm_seq2seq(V)
    translator: EncoderDecoder[CNNDecoderState] = EncoderDecoder(RNNEncoder(V), CNNDecoder(V))
    cnn_translator: ConditionalLanguageModel[CNNDecoderState] = translator
    handover: EncoderDecoder[LSTMState] = EncoderDecoder(LSTMEncoder(V), LSTMDecoder(V))
    from_lstm: EncoderDecoder[RNNDecoderState] = EncoderDecoder(LSTMEncoder(V), RNNDecoder(V))
    searched: list[NextTokenModel[Any]] = [GPT(V), AttentionDecoder(V), translator]
    speech_writer: NextTokenModel[AttentionDecoderState] = JointRecognizer(V)
    speech_recognizer: SpeechRecognizer = CTCRecognizer(V)

    # calls
    assert_type(GPT(V)(ids), tuple[torch.Tensor, GPTState])
    assert_type(RNNLM(V).to("cpu").eval()(ids), tuple[torch.Tensor, RecurrentState])
    assert_type(LSTMEncoder(V)(source), RecurrentMemory)
    assert_type(TransformerEncoder(V)(source), Memory)
    assert_type(translator(ids, translator.begin(source)), tuple[torch.Tensor, CNNDecoderState])
    assert_type(Classifier(RNNEncoder(V), input_size=4)(ids), torch.Tensor)
    assert_type(CTCRecognizer(V)(h, h), tuple[torch.Tensor, torch.Tensor])

    # searches
    greedy_search(GPT(V), ids, max_length=4)
    greedy_search(gpt, ids, None)
    greedy_search(translator, ids, translator.begin(source))
    sample(RNNLM(V), ids, LSTMState(h, h))
    beam_search(lstm_translator, ids, lstm_translator.begin(source), beam=BeamConfig(2))
    best_sequences(GPT(V), ids, None)
    assert_type(decode_sources(translator, [[4]], greedy_search), list[list[int]])
    trained, tokenizer = load_trained_model("runs/seq2seq")
    assert_type(translate(trained, ["a b"], tokenizer), list[str])
    assert_type(greedy_search(trained, torch.tensor([[1]]), max_length=3), list[list[int]])

    # a language model
    lm_1: LanguageModel[Any] = RNNEncoder(V)  # type: ignore[assignment]
    lm_2: LanguageModel[Any] = AttentionDecoder(V)  # type: ignore[assignment]
    lm_3: LanguageModel[Any] = Classifier(rnn_encoder, input_size=4)  # type: ignore[assignment]
    lm_4: LanguageModel[Any] = CTCRecognizer(V)  # type: ignore[assignment]
    lm_5: LanguageModel[Any] = LogitsOnly()  # type: ignore[assignment]
    lm_6: LanguageModel[Any] = WithLengths()  # type: ignore[assignment]
    lm_7: LanguageModel[LSTMState] = GPT(V)  # type: ignore[assignment]
    next_1: NextTokenModel[Any] = RNNEncoder(V)  # type: ignore[assignment]
    next_2: NextTokenModel[Any] = LogitsOnly()  # type: ignore[assignment]
    next_3: NextTokenModel[LSTMState] = AttentionDecoder(V)  # type: ignore[assignment]

    # a language model that scores texts itself
    scorer_1: TextScorer = GPT(V)  # type: ignore[assignment]
    scorer_2: TextScorer = AttentionDecoder(V)  # type: ignore[assignment]

    # an encoder
    encoder_1: Encoder[Memory] = GPT(V)  # type: ignore[assignment]
    encoder_2: Encoder[Memory] = RNNDecoder(V)  # type: ignore[assignment]
    encoder_3: Encoder[Memory] = WithLengths()  # type: ignore[assignment]
    encoder_4: Encoder[Memory] = VectorsOnly()  # type: ignore[assignment]
    encoder_5: Encoder[Memory] = CTCRecognizer(V)  # type: ignore[assignment]
    encoder_6: Encoder[RecurrentMemory] = RNNEncoder(V)  # type: ignore[assignment]

    # a decoder
    decoder_1: Decoder[Any, Any] = GPT(V)  # type: ignore[assignment]
    decoder_2: Decoder[Any, Any] = RNNEncoder(V)  # type: ignore[assignment]
    decoder_3: Decoder[Any, Any] = WithoutBegin()  # type: ignore[assignment]
    decoder_4: Decoder[Any, Any] = WithoutState()  # type: ignore[assignment]
    decoder_5: Decoder[Memory, LSTMState] = WithTwoStates()  # type: ignore[assignment]
    decoder_6: Decoder[Memory, RNNDecoderState] = CNNDecoder(V)  # type: ignore[assignment]
    decoder_7: Decoder[Memory, LSTMState] = LSTMDecoder(V)  # type: ignore[assignment]
    decoder_8: Decoder[Any, Any] = RNNLM(V, cell="lstm")  # type: ignore[assignment]

    # both in one
    pair_1: ConditionalLanguageModel[Any] = GPT(V)  # type: ignore[assignment]
    pair_2: ConditionalLanguageModel[Any] = AttentionDecoder(V)  # type: ignore[assignment]
    pair_3: ConditionalLanguageModel[Any] = JointRecognizer(V)  # type: ignore[assignment]
    pair_4: ConditionalLanguageModel[LSTMState] = translator  # type: ignore[assignment]
    EncoderDecoder(GPT(V), RNNDecoder(V))  # type: ignore[misc]
    EncoderDecoder(RNNEncoder(V), GPT(V))  # type: ignore[arg-type]
    EncoderDecoder(RNNEncoder(V), LSTMDecoder(V))  # type: ignore[misc]
    EncoderDecoder(FixedVectorEncoder(LSTMEncoder(V)), LSTMDecoder(V))  # type: ignore[misc]
    Classifier(AttentionDecoder(V), input_size=4)  # type: ignore[arg-type]

    # a call
    GPT(V)(ids, h)  # type: ignore[arg-type]
    GPT(V)(ids, length=2)  # type: ignore[call-arg]
    translator(ids)  # type: ignore[call-arg]
    translator(ids, LSTMState(h, h))  # type: ignore[arg-type]
    LSTMDecoder(V).begin(RNNEncoder(V)(source))  # type: ignore[arg-type]
    CTCRecognizer(V)(h)  # type: ignore[call-arg]
    JointRecognizer(V)(ids)  # type: ignore[call-arg]

    # a search: the state of another model, None where a state is needed, another sort of model
    greedy_search(GPT(V), ids, LSTMState(h, h))  # type: ignore[misc]
    beam_search(RNNLM(V), ids, "a string")  # type: ignore[misc]
    sample(translator, ids, lstm_translator.begin(source))  # type: ignore[misc]
    best_sequences(translator, ids, None)  # type: ignore[misc]
    greedy_search(Classifier(rnn_encoder, input_size=4), ids)  # type: ignore[arg-type]
    decode_sources(GPT(V), [[4]], greedy_search)  # type: ignore[arg-type]
    token_log_probs(AttentionDecoder(V), ids)  # type: ignore[arg-type]

    # a choice
    RNNLM(V, cell="elman")  # type: ignore[arg-type]
    make_rnn("GRU", input_size=4, width=4)  # type: ignore[arg-type]
    GPT(V, positional_encoding="alibi")  # type: ignore[arg-type]
    AttentionDecoder(V, attention_score="dot")  # type: ignore[arg-type]
