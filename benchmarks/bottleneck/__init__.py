"""How many bits of a string a decoder reads from one vector: for section 2.3.

``task`` draws strings and measures, ``networks`` has the encoder–decoders, many of which are
computed at once, ``training`` trains them, ``readers`` trains new decoders of frozen vectors,
``parts`` lists what is compared, ``comparison`` tunes and runs it, and ``__main__`` is the command.
"""
