"""The measures by which the book judges models and texts.

- ``likelihood``: perplexity and bits per character.
- ``text``: BLEU, chrF, and the diversity of generated texts.
- ``sacrebleu_inputs``: references and metrics in the form that sacrebleu expects.
- ``error_rates``: word and character error rates of transcripts.
- ``randomization``: whether two systems differ on the items of a test set, by any score.
- ``significance``: whether the difference in BLEU between two translation systems is significant.
- ``calibration``: whether a classifier's confidence agrees with its accuracy; temperature scaling.
- ``pass_at_k``: the chance that at least one of k answers is right.
- ``cost``: numbers of parameters and of floating-point operations, and the time of a call.
"""
