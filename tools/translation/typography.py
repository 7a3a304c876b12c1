"""Punctuation and spaces of Chinese text, as mainland typesetting has them, and habits to avoid."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.translation.markdown import CODE_GAP, GAP

HAN = r"[\u3400-\u9fff\uf900-\ufaff]"
FULL = "，。；：！？、（）《》“”‘’【】"
LATIN = rf"[A-Za-z0-9{GAP}{CODE_GAP}%°]"

RULES = [  # what is wrong, and what to do
    (rf"{HAN}[,;:!?]|[,;:!?] ?{HAN}", "half-width punctuation beside Chinese", "write ，；：！？"),
    (rf"{HAN}\.(?![\w.])", "a full stop beside Chinese", "write 。"),
    (rf"{HAN}\(|\({HAN}|{HAN}\)|\){HAN}", "half-width brackets beside Chinese", "write （）"),
    (rf"{HAN}[\"']|[\"']{HAN}", "straight quotation marks beside Chinese", "write “” or ‘’"),
    (
        rf"{HAN}[A-Za-z0-9{CODE_GAP}{GAP}]",
        "no space after Chinese",
        "put a space before Latin, digits, formulas, code and roles",
    ),
    (
        rf"{LATIN}{HAN}",
        "no space before Chinese",
        "put a space after Latin, digits, formulas, code and roles",
    ),
    (rf"{HAN} +{HAN}", "a space between Chinese characters", "take it away"),
    (
        rf" [{FULL}]|[，。；：！？、）》」】] +",
        "a space beside full-width punctuation",
        "take it away",
    ),
    (r"(?<![.\d])\.\.\.|。。。", "an ellipsis of full stops", "write ……"),
    (
        rf"{HAN} ?(?:--?|–) ?{HAN}",
        "a Latin dash between Chinese",
        "write —— or 到, or - within a term",
    ),
]
HABITS = [
    ("它们?", "它 or 它们", "repeat the noun, or leave it out"),
    ("进行", "进行…", "use the verb itself"),
    ("其它", "其它", "write 其他"),
    (r"(?:[^，。；：、！？（）的\s]{1,9}的){3}", "a chain of three 的", "cut the sentence"),
    ("当[^，。；]{1,20}的时候", "当…的时候", "write 时, or nothing"),
]
TERM_WITH_DASH = re.compile(rf"{HAN}-{HAN}")  # 编码器-解码器


def find_faults(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with the punctuation, the spaces and the words of a Chinese text.

    Parameters
    ----------
    text
        The words of a message, as `tools.translation.markdown.read_parts` returns them.

    Yields
    ------
    place, fault, advice : str, str, str
        The characters around, what is wrong, and what to do.
    """
    text = TERM_WITH_DASH.sub(lambda found: found[0].replace("-", ""), text)
    for pattern, fault, advice in [*RULES, *HABITS]:
        for match in re.finditer(pattern, text):
            place = text[max(0, match.start() - 6) : match.end() + 6]
            yield place.replace(GAP, "…").replace(CODE_GAP, "…"), fault, advice
