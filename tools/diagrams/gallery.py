"""All diagrams of the book, and their files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tools.diagrams import (
    attention,
    autograd,
    classification,
    concepts,
    convolution,
    copying,
    cost,
    ctc,
    encoder_decoder,
    generation,
    gpt,
    interpretability,
    kept,
    language_models,
    libraries,
    masks,
    number_translation,
    parallel,
    pipeline,
    practice,
    recurrent,
    rewards,
    robustness,
    scaling,
    segmentation,
    self_attention,
    speech,
    stacked,
    training,
    transformer,
)
from tools.diagrams.vocabulary import Diagram

DRAWN: tuple[Callable[[], Diagram], ...] = (
    kept.kept_words,
    concepts.conditions,
    language_models.ngram,
    language_models.nnlm,
    language_models.nnlm_gradients,
    scaling.large_model,
    segmentation.bpe_merges,
    segmentation.unigram_lattice,
    scaling.model_life,
    scaling.layer_sizes,
    scaling.experts,
    recurrent.rnn,
    recurrent.lstm,
    recurrent.gru,
    practice.listing_tests,
    stacked.stacked_lstm,
    encoder_decoder.encoder_decoder,
    encoder_decoder.context_vector,
    copying.copier,
    copying.copier_attention,
    number_translation.number_translation,
    attention.attention,
    attention.attention_computation,
    convolution.cnn_encoder,
    convolution.cnn_decoder,
    self_attention.self_attention,
    masks.masks,
    transformer.transformer,
    gpt.gpt,
    gpt.kv_cache,
    interpretability.interventions,
    interpretability.induction,
    interpretability.sparse_autoencoder,
    robustness.failures,
    robustness.suffix_search,
    rewards.policy_gradient_step,
    generation.generation,
    generation.speculative,
    ctc.ctc,
    ctc.ctc_lattice,
    speech.speech_recognizers,
    training.training_step,
    autograd.computation_graph,
    libraries.keras_backends,
    libraries.dense_carried,
    libraries.left_padding,
    parallel.data_parallel,
    parallel.tensor_parallel,
    pipeline.pipeline_parallel,
    cost.memory_of_a_model,
    cost.attention_tiles,
    cost.weight_formats,
    classification.text_classifiers,
    classification.text_cnn,
)


@cache
def diagrams() -> dict[str, Diagram]:
    """Return all diagrams by name."""
    drawn = [draw() for draw in DRAWN]
    return {diagram.name: diagram for diagram in drawn}


@cache
def variants() -> dict[str, tuple[Diagram, str | None]]:
    """Return the diagram and the variant of every file, by its name without ending."""
    return {
        name: (diagram, variant)
        for diagram in diagrams().values()
        for name, variant in diagram.files().items()
    }


@cache
def files() -> dict[str, str]:
    """Return the content of every file in ``book/_static/diagrams``, by its name."""
    return {f"{name}.svg": diagram.svg(variant) for name, (diagram, variant) in variants().items()}
