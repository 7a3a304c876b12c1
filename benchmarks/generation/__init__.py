"""The benchmark ``generation``: rules of decoding compared on one stored GPT.

- ``__main__``: its command.
- ``rules``: the rules of decoding and their settings.
- ``diversity``: texts by each rule, what a judge and a student make of them.
- ``between``: more settings, where rules are compared; its own command.
- ``controls``: the same for copies of the training text and for damaged texts; its own command.
- ``equal_characters``: sets of equal numbers of characters; its own command.
- ``task``: the text, the stored model that writes, the judge, the passages.
"""
