"""Everything between a corpus and the batches of token ids that a model reads.

Modules, in the order of the work:

- ``corpora``: the corpora of the book by name, each in a training, validation and test split.
- ``examples``: the types of what a corpus consists of.
- ``readers``: reads the published files of each corpus.
- ``download``: finds the files of a corpus on this machine, or downloads them.
- ``registry``: what each of these files must be (``registry.json``), and the check of a file.
- ``standins``: data made on any machine without a network, in place of a corpus.
- ``grammar``: draws the meanings of the stand-in's sentence pairs.
- ``languages``, with ``realizer``, ``english``, ``german``, ``french`` and ``chinese``: puts a
  meaning into the words of a language.
- ``espeak``: the speech synthesiser behind the stand-in for spoken digits.
- ``vocabulary``: tokens and ids, and the special tokens.
- ``tokenizers``: character, word and byte-pair-encoding tokenizers.
- ``batches``: padding, and batches from one running text.
- ``pair_batches``: batches of sentence pairs and of labelled texts.
- ``files``: files that are written completely or not at all.
"""
