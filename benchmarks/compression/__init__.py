"""A trained model made smaller or adapted: for section 8.1.

``task`` has the texts, ``networks`` rounds, prunes and corrects the matrices of a GPT,
``training`` trains an arm and measures it, ``parts`` lists the arms, and ``__main__`` is the
command.
"""
