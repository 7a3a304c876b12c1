"""Types of training, which `make lint` checks: no test runs this file, mypy reads it.

Model, batches and objective of a run must belong together. Calls that are right come first. The
rest are mistakes, as in tests/contract_types.py: mypy must find an error where
`type: ignore` expects one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from utils.contract import NextTokenModel, TextClassifier
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.data.pair_batches import PairBatches
from utils.models.classifiers import Classifier, predict_logits
from utils.models.encoder_decoder import lstm_seq2seq
from utils.models.gpt import GPT
from utils.models.recurrent_encoders import RNNEncoder
from utils.speech.audio_batches import AudioBatches
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.training import ctc_nll, joint_objective, train_recognizer
from utils.training.adversarial import adversarial_objective
from utils.training.config import TrainConfig
from utils.training.distributed import Processes
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import label_nll, label_objective, token_nll, token_objective
from utils.training.protocols import Objective

if TYPE_CHECKING:
    V = 11
    config = TrainConfig(steps=1)
    encoder = RNNEncoder(V)
    classifier = Classifier(encoder, input_size=256)
    ids = torch.tensor([4, 5, 6])
    texts = TextBatches(ids, batch_size=1, context_length=2)
    eval_texts = text_eval_batches(ids, batch_size=1, context_length=2)
    pairs = PairBatches([([4], [5])], batch_size=1)
    labelled = LabelledBatches([([4], 1)], batch_size=1)
    eval_labelled = labelled_eval_batches([([4], 1)], batch_size=1)
    perturbed = adversarial_objective(encoder.embedding, epsilon=1.0)
    smoothed = token_objective(label_smoothing=0.1)
    smoothed_labels = label_objective(label_smoothing=0.1)

    def sample_examples(
        rng: np.random.Generator, step: int
    ) -> tuple[list[np.ndarray], list[list[int]]]:
        raise NotImplementedError

    clips = AudioBatches(sample_examples)
    one_class: TextClassifier = classifier
    predictors: list[NextTokenModel[Any]] = [GPT(V), lstm_seq2seq(V)]
    ctc: Objective[CTCRecognizer, object] = ctc_nll  # type: ignore[assignment]

    fit(GPT(V), texts, config, valid=eval_texts)
    fit(GPT(V), eval_texts, config, objective=token_nll)
    fit(lstm_seq2seq(V), pairs, config)
    fit(lstm_seq2seq(V), pairs, config, objective=smoothed)
    fit(classifier, labelled, config, valid=eval_labelled, objective=label_nll)
    fit(classifier, labelled, config, objective=smoothed_labels)
    fit(classifier, labelled, config, objective=perturbed)
    fit(CTCRecognizer(V), clips, config, objective=ctc_nll)
    fit(JointRecognizer(V), clips, config, objective=joint_objective(0.5))
    evaluate(GPT(V), eval_texts)
    evaluate(classifier, eval_labelled, objective=label_nll)
    train_recognizer(CTCRecognizer(V), sample_examples, steps=1, learning_rate=1.0)

    # the objective of another model
    fit(GPT(V), labelled, config, objective=ctc_nll)  # type: ignore[misc]
    fit(GPT(V), texts, config, objective=label_nll)  # type: ignore[misc]
    fit(GPT(V), clips, config, objective=ctc_nll)  # type: ignore[misc]
    fit(classifier, labelled, config, objective=smoothed)  # type: ignore[misc]
    fit(classifier, texts, config, objective=token_nll)  # type: ignore[misc]
    fit(CTCRecognizer(V), clips, config, objective=joint_objective(0.5))  # type: ignore[misc]
    evaluate(encoder, eval_labelled, objective=label_nll)  # type: ignore[misc]

    # the batches of another model
    fit(classifier, texts, config, objective=label_nll)  # type: ignore[misc]
    fit(CTCRecognizer(V), labelled, config, objective=ctc_nll)  # type: ignore[misc]
    fit(GPT(V), texts, config, valid=eval_labelled)  # type: ignore[arg-type]
    evaluate(GPT(V), eval_labelled)  # type: ignore[arg-type]
    evaluate(classifier, eval_texts, objective=label_nll)  # type: ignore[misc]

    # an objective that is left out, and the default does not fit
    fit(classifier, labelled, config)  # type: ignore[call-overload]
    fit(CTCRecognizer(V), clips, config)  # type: ignore[call-overload]
    evaluate(classifier, eval_labelled)  # type: ignore[call-overload]
    train_recognizer(  # type: ignore[call-overload]
        JointRecognizer(V), sample_examples, steps=1, learning_rate=1.0
    )

    # no objective, no classifier, no choice
    fit(GPT(V), texts, config, objective=predict_logits)  # type: ignore[misc]
    predict_logits(GPT(V), [[4]])  # type: ignore[arg-type]
    TrainConfig(schedule="triangular")  # type: ignore[arg-type]
    Processes(strategy="pipeline")  # type: ignore[arg-type]
