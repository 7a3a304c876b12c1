"""From a model's distributions to text: search, sampling, translation and scoring.

The package knows a model by its contract only (``utils.models.contract``), so every function here
serves n-gram models, recurrent networks and Transformers, with or without a source.

- ``state``: take rows of a model's state, whatever it is made of.
- ``rules``: which tokens may come next: minimum length, n-grams that may not repeat.
- ``generation``: the loop that extends a batch of prompts token by token.
- ``search``: greedy search, and one call for greedy or beam search.
- ``beam_search``, ``prompt_search``: beam search and its options, and its part for one prompt.
- ``sampling``: draw each next token from the distribution.
- ``filters``: top-k, top-p, min-p and the repetition penalty.
- ``translation``: decode a list of source texts.
- ``scoring``: the log-probability of each token of a given text.
- ``interpolation``: mixtures of two models' probabilities.
"""
