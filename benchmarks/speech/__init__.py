"""The benchmark ``speech``: spoken digits, for section 6.3.

- ``__main__``: its command.
- ``dates``: dates by a speaker who is held out, with and without a language model.
- ``isolated``: single digits as the corpus publishes them.
- ``lengths``: strings that are longer than those of the training.
- ``task``: what these have in common.
"""
