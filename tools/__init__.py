"""Tools that make the book: its site, its figures, and the care of executed notebooks.

Sphinx extensions, which ``_config.yml`` lists:

- ``first_page``: the cards and learning paths of the first page.
- ``results_page``: the tables of the results page.
- ``result_claims``: the claims of the results page.
- ``claims_page``: the page of claims, each with its evidence.
- ``library_page``: the tables of the library's page.
- ``page_parts``: times, marked parts and previews on every page, and the list of equations.
- ``chinese_words``: marks Chinese words on every page as Chinese.
- ``book_diagrams``: puts diagrams into the pages, as text and in both themes.
- ``repository``: the address of the repository that the site is built from; as a script, moves the
  committed book to another address.
- ``theme_fixes``: corrections of what the theme writes.
- ``not_found``: the page for an address that the site does not have.
- ``live``: the models that run in the pages; its module ``boxes`` is the extension.

What these extensions import:

- ``contents``: the chapters and pages of the book, and their files.
- ``book_facts``: titles, lengths, results and equations, read from the pages and the notebooks.
- ``benchmark_facts``: the stored numbers of the benchmarks as rows of tables.
- ``records_table``: the tables of the records, and of rows that are stored seed by seed.
- ``evidence_lines``: a claim with its evidence as Markdown.
- ``directives``: the base of the directives whose content is made from those facts.

The book as one file:

- ``editions``: makes the PDF and the EPUB from the built site.

The Chinese edition:

- ``translation``: its catalogues, their checks, and what puts them into the pages.

Pictures:

- ``figures``: draws the pictures in ``book/_static``; ``model_map`` and ``timeline`` are two of
  them, and ``svg`` is what they are drawn with.
- ``diagrams``: draws the diagrams of models and data flows.

Notebooks and data:

- ``notebooks``: stamps executed notebooks, and writes their setup cell.
- ``setup_cell``: the first code cell of every notebook.
- ``corpora``: downloads every corpus and checks its files.
"""
