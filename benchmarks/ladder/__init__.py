"""The benchmark ``ladder``: neural language models of section 5.1 with several seeds.

- ``__main__``: its command.
- ``equal``: networks of equal size and training, the counts beside them, and parts of the text.
- ``training``: longer training of a model, and its losses alone and mixed with an n-gram model.
- ``recipes``: the models that are trained for longer, and how.
"""
