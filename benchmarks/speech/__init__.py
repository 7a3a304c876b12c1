"""The benchmark ``speech``: spoken digits, for section 6.3.

- ``__main__``: its command.
- ``date_models``: language models of dates for ``fusion``.
- ``dates``: dates by a speaker who is held out, with and without a language model.
- ``fusion``: a language model in the search, and in a list of the best texts.
- ``grid``: the weight and the bonus of a language model, chosen from a grid.
- ``isolated``: single digits as the corpus publishes them.
- ``lengths``: strings that are longer than those of the training.
- ``noise``: new voices and known ones in noise of several strengths.
- ``task``: what these have in common.
- ``voices``: the recognizers and clips of ``fusion`` and ``noise``.
"""
