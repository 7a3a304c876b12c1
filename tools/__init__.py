"""Tools that make the book: its site, its figures, and the care of executed notebooks.

Sphinx extensions, which ``_config.yml`` lists:

- ``book_site``: the tables of the results page.
- ``book_cover``: the cards and learning paths of the first page.
- ``book_claims``: the page of claims, each with its evidence.
- ``book_language``: the language of Chinese words.
- ``book_parts``: times, marked parts and previews on every page, and the list of equations.
- ``book_diagrams``: puts the diagrams of ``diagrams`` into the pages, as text and in both themes.
- ``repository``: the address of the repository that the site is built from; as a script, moves the
  committed book to another address.
- ``theme_fixes``: corrections of what the theme writes.

Scripts, and modules that these and the extensions import:

- ``book_facts``, ``benchmark_facts``: facts about the book and its benchmarks from their own files;
  the extensions show them.
- ``directives``: the base of the directives whose content is made from those facts.
- ``figures``: draws the pictures in ``book/_static``; ``model_map`` and ``timeline`` are two of
  them, and ``svg`` is what they are drawn with.
- ``corpora``: downloads every corpus and checks its files.
- ``notebooks``: stamps executed notebooks, and writes their setup cell.
- ``setup_cell``: the first code cell of every notebook.
"""
