"""Choices of training, each with its own tuned learning rate: for section 3.1."""
