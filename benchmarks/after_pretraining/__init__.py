"""Instructions, preferences and verified rewards for a small GPT: for section 8.4.

``task`` has the questions and their checkers, ``models`` pretrains and instructs, ``rewards``
trains on rewards, ``measure`` measures, ``parts`` lists the arms and runs one, and ``__main__`` is
the command.
"""
