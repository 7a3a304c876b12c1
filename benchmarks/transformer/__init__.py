"""Parts of a Transformer and what each is good for: for section 7.3.

``networks`` has the variants that the library does not have, ``task`` the texts and how they are
masked, ``counting`` a baseline of counts, ``controls`` near distances
and few keys for longer texts, ``training`` trains an arm and measures it, ``parts``
lists the arms, and ``__main__`` is the command.
"""
