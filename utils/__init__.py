"""The shared library of the book: small rooms around one contract.

Every model is called as ``model(ids, state=None) -> (logits, state)``: ``ids`` (B, T) int64,
``logits`` (B, T, V), ``state`` a tree of tensors with the batch first. See ``CONTRIBUTING.md``.
"""
