"""Tools that make the book: its site, its figures, and the care of executed notebooks.

Sphinx extensions, which ``_config.yml`` lists:

- ``book_site``: the tables of the results page.
- ``book_cover``: the cards and learning paths of the first page.
- ``book_parts``: times, marked parts and previews on every page, and the list of equations.
- ``theme_fixes``: corrections of what the theme writes.

Scripts and what they read:

- ``book_facts``: facts about the book from its own files; the extensions show them.
- ``figures``: draws the pictures in ``book/_static``.
- ``notebooks``: stamps executed notebooks; moves the book to another repository.
- ``setup_cell``: the first code cell of every notebook.
"""
