"""The benchmark ``optimization``: choices of training, each with a tuned rate, for section 3.1.

- ``__main__``: its command.
- ``parts``: the choices that are compared.
- ``networks``: the networks that are trained.
- ``task``: the data.
- ``training``: one of these runs.
"""
