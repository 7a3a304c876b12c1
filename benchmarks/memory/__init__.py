"""The benchmark ``memory``: how far back recurrent networks learn to reach, for section 4.1.2.

- ``__main__``: its command.
- ``parts``: the arms that are compared.
- ``recall``, ``recall_networks``: the recall task, and its networks, trained side by side.
- ``networks``: the networks that read text.
- ``task``: the tokens of the recall task, and the characters.
- ``training``: one run of an arm that reads text.
- ``gradients``: what is measured of a network beside its loss.
"""
