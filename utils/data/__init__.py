"""Everything between a corpus and the batches of token ids that a model reads.

Modules, in the order of the work:

- ``corpora``: the corpora of the book by name, each in a training, validation and test split.
- ``corpus``: the types of a corpus and of the examples that it consists of.
- ``readers``: reads the published files of each corpus, and a text file of one's own.
- ``download``: finds the files of a corpus on this machine, or downloads them.
- ``registry``: what each of these files must be (``registry.json``), and the check of a file.
- ``standins``: a package; data made on any machine without a network, in place of a corpus.
- ``espeak``: the speech synthesiser behind the stand-in for spoken digits.
- ``vocabulary``: tokens and ids, and the special tokens.
- ``splitting``: cuts a text into words, at special tokens, and into parts if it is long.
- ``tokenizers``: character, word and byte-pair-encoding tokenizers, with their base classes in
  ``tokenizer_base``.
- ``batches``: padding, and batches from one running text.
- ``grouping``: groups of sequences of equal or similar length.
- ``pair_batches``, ``labelled_batches``: batches of sentence pairs, and of texts with labels, with
  their base class in ``grouped_batches``.
"""
