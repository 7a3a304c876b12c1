"""Pairs of an encoder and a decoder on numbers in words: for section 3.2.

- ``__main__``: its command.
- ``controls``: a second command: other numbers of steps, whole answers.
- ``whole_answers``: runs of this command.
- ``parts``: what is compared.
- ``task``: numbers in German and English, and wrong words that are planted in them.
- ``training``: one run, and scheduled sampling.
- ``measures``: right answers, and what a wrong word in the history does.
"""
