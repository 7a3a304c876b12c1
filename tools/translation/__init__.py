"""The Chinese edition: its catalogues, its pages, and the checks of both.

A message is a paragraph, a heading, a caption or an alt text of a page, and each page has a
catalogue of its messages in ``locale/zh_CN/LC_MESSAGES``. ``python -m tools.translation`` keeps
and checks them.

- ``catalogues``: the files of the messages, and the words of the tools in the language of the
  build.
- ``templates``: extracts the messages of the book, and brings the catalogues up to date.
- ``markdown``: reads a message as MyST does: its formulas, code, roles, links and emphasis.
- ``page_text``: puts the Chinese into the pages as they are parsed (a Sphinx extension).
- ``pictures``: puts it into the pictures and the live boxes.
- ``switch``: links each page to the same page in the other language.
- ``search``: gives the search the words of the glossary.
- ``site``: builds the site in Chinese, or a few pages of it.
- ``checks``: what is wrong with a message or a catalogue; ``terms`` and ``typography`` have the
  rules of words and of punctuation, and ``built_pages`` looks at what a reader sees.
"""
