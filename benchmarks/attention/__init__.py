"""What attention looks at and how it is trained: for section 4.2.

``links`` draws German and English sentences with gold links between their words, ``task`` makes
batches of them and of strings to copy, ``networks`` has the decoder, ``choice`` draws places and
estimates gradients by REINFORCE, ``counting`` is a baseline, ``training`` trains an arm and
measures it, ``parts`` lists the arms, and ``__main__`` is the command.
"""
