"""The benchmark ``speech``: spoken digits, for section 6.3.

- ``__main__``: its command.
- ``answers``: texts by a search, or by a choice from lists.
- ``date_models``: language models of dates.
- ``fusion``: a language model in the search, and in a list of the best texts.
- ``grid``: the weight and the bonus of a language model, chosen from a grid.
- ``lengths``: strings that are longer than those of the training.
- ``task``: what these have in common.
- ``voices``: recognizers and clips of speakers that are held out in turn.
"""
