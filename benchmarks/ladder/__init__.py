"""The benchmark ``ladder``: neural language models of section 5.1 with several seeds.

- ``__main__``: its command.
- ``training``: training of a model, and its losses alone and mixed with an n-gram model.
- ``recipes``: the models and how they are trained.
"""
