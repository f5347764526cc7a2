"""Text as words: the scoring normaliser and the dictation layer (spoken to written), one pack per language."""

from medstt.text.formatter import Formatter, format, open_formatter
from medstt.text.style import STYLES, DoseRange, Style

__all__ = ["STYLES", "DoseRange", "Formatter", "Style", "format", "open_formatter"]
