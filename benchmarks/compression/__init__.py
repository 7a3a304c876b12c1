"""A trained model adapted, or distilled into a smaller one: for section 8.1.

``task`` has the texts, ``networks`` frees or corrects the matrices of a GPT,
``training`` trains an arm and measures it, ``parts`` lists the arms, and ``__main__`` is the
command.
"""
