"""The benchmark ``memory``: how far back recurrent networks learn to reach, for section 4.1.2.

- ``__main__``: its command.
- ``parts``: the arms that are compared.
- ``networks``: the networks that are trained.
- ``task``: the symbol to recall, and the characters.
- ``training``: one run of an arm.
- ``gradients``: what is measured of a network beside its loss.
"""
