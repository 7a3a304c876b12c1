"""The book as one file: a PDF for paper and an EPUB, made from the built site.

``python -m tools.editions pdf`` (``make pdf``) and ``python -m tools.editions epub``
(``make epub``) read the pages of ``_build/html``, and write beside them, into ``editions/``.

- ``built_site``: the pages of the site, in the order of the contents.
- ``articles``: the same as parts of one book; ``headings``: their headings.
- ``solutions``: moves solutions to the end of their chapter.
- ``page_links``: adds the numbers of pages to links.
- ``imprint``: title, authors, licence and commit.
- ``chromium``: the browser; ``pdf`` and ``epub``: what it makes.
- ``download_links``: the links to them on the first page.
"""
