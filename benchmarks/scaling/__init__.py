"""Loss by parameters and tokens: for section 2.2.

- ``grid``: all widths on all budgets, to which the section fits its law.
- ``parts``: the other parts and their arms.
- ``training``: one run of an arm.
- ``experts``: a feed-forward layer of several experts.
"""
