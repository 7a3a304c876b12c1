"""The models of the site: what each is made of, and what the page says of it.

A name is an architecture and a unit: "ngram-characters" and "ngram-pieces" are counted in the
training text, "gpt-pieces" and "lstm-pieces" are the library's stored models of these names, and
"tokenizer-pieces" is the tokenizer alone. "translator-de-en" is the stored translator,
"sentiment-cnn" and "sentiment-gru" are the stored classifiers of film reviews.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import torch

from tools.live.architectures import (
    LiveTokenizer,
    convert_classifier,
    convert_gpt,
    convert_lstm,
    convert_ngram,
    convert_tokenizer,
    convert_translator,
)
from tools.live.model_files import LiveModel
from tools.live.quantization import quantized_copy
from utils.contract import LanguageModel
from utils.data.corpora import Corpus, load_text
from utils.data.tokenizers import BPETokenizer, CharTokenizer
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.metrics.likelihood import bits_per_character
from utils.models.classifiers import Classifier
from utils.models.gpt import GPT
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.models.stored import load_stored_model
from utils.models.stored_classifier import load_stored_classifier
from utils.models.stored_files import WEIGHTS_FILE, models_folder
from utils.models.stored_translator import Translator, load_stored_translator

LIVE_FOLDER = Path(__file__).resolve().parents[2] / "book" / "_static" / "live"
MODELS_FOLDER = LIVE_FOLDER / "models"
TRANSLATOR, STORED_TRANSLATOR = "translator-de-en", "attention-de-en"
LANGUAGE_MODELS = ("ngram-characters", "ngram-pieces", "gpt-pieces", "lstm-pieces")
CLASSIFIERS = ("sentiment-cnn", "sentiment-gru")
NAMES = ("tokenizer-pieces", *LANGUAGE_MODELS, TRANSLATOR, *CLASSIFIERS)
VOCAB_SIZE = 1000  # of the pieces, as in section 6.2
NGRAM_ORDERS = {"characters": 5, "pieces": 3}  # by unit

PageModel: TypeAlias = LanguageModel[Any]
"""A language model as the page computes it: quantized, if it is a network."""


@cache
def load_corpus() -> Corpus[str]:
    """Load the text of all models.

    Raises
    ------
    OSError
        If only its stand-in is at hand.
    """
    corpus = load_text()
    if corpus.origin != "real":
        raise OSError("the pages' models are made of the real text, which cannot be loaded here")
    return corpus


@cache
def tokenizer_of(name: str) -> LiveTokenizer:
    """Return the tokenizer of a model of the site."""
    if name == TRANSLATOR:
        return load_stored_translator(STORED_TRANSLATOR).tokenizer
    if name in CLASSIFIERS:
        return load_stored_classifier(name).tokenizer
    architecture, unit = name.split("-")
    if architecture in ("gpt", "lstm"):
        return load_stored_model(name).tokenizer
    if unit == "characters":
        return CharTokenizer.train(load_corpus().train)
    return BPETokenizer.train(load_corpus().train, max_vocab_size=VOCAB_SIZE)


@cache
def counts_of(name: str) -> NGramCounts:
    """Return the counts of an n-gram model of the site."""
    tokenizer, order = tokenizer_of(name), NGRAM_ORDERS[name.removeprefix("ngram-")]
    ids = torch.tensor(tokenizer.encode(load_corpus().train))
    return NGramCounts(ids, order=order, vocab_size=len(tokenizer))


@cache
def page_model(name: str) -> PageModel:
    """Return the model that the page's must equal.

    Parameters
    ----------
    name
        A language model of the site.

    Returns
    -------
    model : PageModel
        The library's model, with the weights of the page.
    """
    if name.startswith("ngram"):
        return NGramLM.kneser_ney(counts_of(name), modified=True)
    return quantized_copy(load_stored_model(name).model)


@cache
def page_translator() -> Translator:
    """Return the translator that the page's must equal: the stored one, quantized."""
    return quantized_copy(load_stored_translator(STORED_TRANSLATOR).model)


@cache
def page_classifier(name: str) -> Classifier:
    """Return the classifier that the page's must equal: the stored one, quantized."""
    return quantized_copy(load_stored_classifier(name).model)


def measure(model: PageModel, tokenizer: LiveTokenizer) -> float:
    """Measure a model on the validation text, read from end to end.

    Parameters
    ----------
    model
        The model.
    tokenizer
        Its tokenizer.

    Returns
    -------
    bits : float
        Bits per character of all that follows the first token, to four decimals.
    """
    text = load_corpus().valid
    ids = tokenizer.encode(text)
    nll = -float(token_log_probs(model, torch.tensor(ids)).sum())
    return round(bits_per_character(nll, len(text) - len(tokenizer.decode(ids[:1]))), 4)


def measure_facts(name: str) -> dict[str, float]:
    """Measure a model of the site on the validation text, which takes up to a minute.

    Parameters
    ----------
    name
        A model of the site.

    Returns
    -------
    facts : dict of str to float
        Of a language model bits per character as in the page; of a network also before its weights
        were rounded. What rounding costs is measured with more care in `tools.live.costs`.
    """
    if name not in LANGUAGE_MODELS:
        return {}
    tokenizer = tokenizer_of(name)
    facts = {"valid_bits_per_character": measure(page_model(name), tokenizer)}
    if not name.startswith("ngram"):
        unrounded = load_stored_model(name).model
        facts["valid_bits_per_character_unquantized"] = measure(unrounded, tokenizer)
    return facts


def build(name: str) -> LiveModel:
    """Build a model of the site.

    Parameters
    ----------
    name
        Its name.

    Returns
    -------
    live : LiveModel
        The model for the page, with its origin among its facts.

    Raises
    ------
    OSError
        If a text or a stored model that it is made of cannot be loaded.
    """
    tokenizer = tokenizer_of(name)
    if name.startswith("tokenizer"):
        content = convert_tokenizer(tokenizer)
        return LiveModel(kind="tokenizer", tokenizer=content, facts=_corpus_facts())
    if name.startswith("ngram"):
        counts = counts_of(name)
        return convert_ngram(counts, tokenizer, _corpus_facts() | {"order": counts.order})
    if name == TRANSLATOR:
        translator = load_stored_translator(STORED_TRANSLATOR)
        facts = {
            "corpus": translator.facts.get("corpus"),
            "parameters": count_parameters(translator.model),
            "weights_sha256": weights_checksum(STORED_TRANSLATOR),
        }
        return convert_translator(translator.model, tokenizer, facts)
    if name in CLASSIFIERS:
        classifier = load_stored_classifier(name)
        facts = {
            "corpus": classifier.facts.get("corpus"),
            "parameters": count_parameters(classifier.model),
            "test_accuracy": classifier.facts.get("test_accuracy"),
            "weights_sha256": weights_checksum(name),
        }
        return convert_classifier(classifier.model, tokenizer, facts)
    stored = load_stored_model(name)
    facts = {
        "corpus": stored.facts.get("corpus"),
        "parameters": count_parameters(stored.model),
        "weights_sha256": weights_checksum(name),
    }
    if isinstance(stored.model, GPT):
        return convert_gpt(stored.model, tokenizer, facts)
    return convert_lstm(stored.model, tokenizer, facts)


def weights_checksum(name: str) -> str:
    """Return the SHA-256 of the weights of a stored model."""
    return hashlib.sha256((models_folder() / name / WEIGHTS_FILE).read_bytes()).hexdigest()


def _corpus_facts() -> dict[str, Any]:
    """Return the name of the corpus and the hash of its training text."""
    corpus = load_corpus()
    checksum = hashlib.sha256(corpus.train.encode("utf-8")).hexdigest()
    return {"corpus": corpus.name, "training_text_sha256": checksum}
