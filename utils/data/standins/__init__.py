"""Stand-ins for the corpora, made on any machine without a network.

Each lets a model learn something real, and none is a corpus on which to report results.
``utils.data.corpora`` returns them where the real corpus cannot be had.

- ``texts``: a running text, the manual of Python; and film reviews from a small grammar.
- ``pairs``: sentence pairs from a synchronous grammar, whose parts are the other modules:
- ``grammar``: the meanings of sentences, the lexicon, and the base class of the languages;
- ``sampler``: draws meanings;
- ``english``, ``german``, ``french`` and ``chinese``: put a meaning into words.
- ``spoken_digits``: recordings of digits, spoken by the synthesiser eSpeak NG.
"""
