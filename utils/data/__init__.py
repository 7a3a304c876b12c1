"""Everything between a corpus and the batches of token ids that a model reads.

Modules, in the order of the work:

- ``corpora``: `Corpus`, and a loader for each corpus of the book (``load_text``, …).
- ``examples``: the types of the examples in a corpus: sentence pairs, reviews and clips.
- ``corpus_formats``: readers of the published file formats of each corpus.
- ``download``: finds the files of a corpus on this machine, or downloads them.
- ``registry``: the expected files (``registry.json``), and the check of a file.
- ``errors``: `DataError` and its subclasses.
- ``standins``: a package; data generated on any machine without a network, in place of a corpus.
- ``espeak``: the speech synthesizer behind the stand-in for spoken digits.
- ``checks``: checks and conversions of token ids and texts.
- ``vocabulary``: tokens and ids, and the special tokens.
- ``pretokenization``: words, special tokens and chunks of a text, before tokenization.
- ``tokenizers``: character, word and byte-pair-encoding tokenizers, with their base classes in
  ``tokenizer_base``.
- ``batches``: padding, and batches from one running text.
- ``grouped_batches``: groups of sequences of equal or similar length, and the base class of
  ``pair_batches`` and ``labelled_batches``: batches of sentence pairs, and of texts with labels.
- ``answer_batches``: batches of prompts with answers, of which only the answers are predicted.
"""
