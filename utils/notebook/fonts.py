"""The fonts of the figures: the Chinese ones that may be installed, and what a font can draw."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib import font_manager

CHINESE_FONTS = (  # the first that is installed is used: Linux, Windows, macOS, others
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Noto Sans CJK JP",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "STHeiti",
    "Songti SC",
    "Arial Unicode MS",
)


def has_glyph(character: str) -> bool:
    """Return whether a font of the style can draw a character."""
    families = [font_manager.FontProperties(family=[name]) for name in mpl.rcParams["font.family"]]
    fonts = (font_manager.get_font(font_manager.findfont(family)) for family in families)
    return any(font.get_char_index(ord(character)) for font in fonts)
