"""The benchmark ``translation``: encoder–decoders on Multi30k, for section 6.1.

- ``__main__``: its command.
- ``jobs``: the training runs: models, seeds and numbers of steps.
- ``training``: one of these runs.
- ``evaluation``: the test of a trained model.
- ``root``: the first steps of attention with and without the root in its score.
- ``chinese``: English to Chinese.
- ``recipes``: the models and how they are trained.
- ``task``: the data.
"""
