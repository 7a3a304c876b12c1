"""From a model's distributions to text: search, sampling, translation and scoring.

The package calls a model by its contract (``utils.contract``), so every function serves n-gram
models, recurrent networks and Transformers, with or without a source. Beyond calls it looks for the
embeddings of a model, to check ids before they are read (``input_ids``). Options are passed
under the name of what they are: ``sampling=SamplingConfig(…)``, ``beam=BeamConfig(…)``,
``rules=TokenRules(…)``; where `beam` may be None, that is greedy search.

- ``greedy_search``: the most probable token at each step.
- ``beam_search``: the K best hypotheses at each step; one call for greedy or beam search.
- ``beam_config``, ``beam_hypotheses``: the options of beam search, its hypotheses for one prompt.
- ``sampling``: draw each next token from the distribution.
- ``filters``: top-k, top-p, min-p and typical sampling, which shape that distribution.
- ``penalties``: the repetition penalty, and frequency and presence penalties, which shape it too.
- ``speculative``: a cheap model proposes tokens that an expensive one checks.
- ``constraints``: an automaton that says which tokens may come next.
- ``translation``: translate texts, or decode many sources with any search.
- ``scoring``: the log-probability of each token of a given text.
- ``interpolation``: mixtures of two models' probabilities.
- ``generation``: the loop that extends a batch of prompts token by token.
- ``token_rules``: which tokens may come next: minimum length, n-grams that may not repeat.
- ``input_ids``: check ids against the vocabulary of the model that reads them.
- ``model_state``: select rows of a model's state, whatever its structure.
"""
