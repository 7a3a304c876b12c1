"""The measures by which the book judges models and texts.

- ``likelihood``: perplexity and bits per character.
- ``text``: BLEU, chrF, and the diversity of generated texts.
- ``error_rates``: word and character error rates of transcripts.
- ``significance``: whether two translation systems really differ in BLEU.
- ``calibration``: whether a classifier's confidence agrees with its accuracy; temperature scaling.
- ``cost``: numbers of parameters and of floating-point operations.
"""
