"""Classifiers of film reviews: for section 9.1.

``folds`` has ten-fold cross-validation as published, ``features`` the vectors of a pretrained
encoder and the linear classifier on them, ``networks`` the networks and how one is trained,
``counting`` what needs no learning rate, ``task`` the sentences, and ``__main__`` is the command.
"""
