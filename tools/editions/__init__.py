"""The book as one file: a PDF for paper and an EPUB, made from the built site.

``python -m tools.editions pdf`` (``make pdf``) and ``python -m tools.editions epub``
(``make epub``) read the pages of ``_build/html``, and write beside them, into ``editions/``.
"""
