"""What the service listens for: the word lists of a person's site and department, and a request's own words.

Knows nothing of how lists are edited, of models or of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from medstt.engine.protocol import Capabilities
from medstt.values import LANGUAGES, Language
from medstt.work.process import Style
from medstt.work.recognise import Wanted
from medstt.work.team import TeamFormatters


class TeamNames:
    """Finds the names that one recording is listened for."""

    def __init__(self, formatters: TeamFormatters) -> None:
        self._formatters = formatters

    def __call__(self, capabilities: Capabilities, style: Style, words: Sequence[str] = ()) -> Wanted:
        """Return a person's names in the style's language, or in all, and the words; none for a model without bias.

        Raises VocabError for a list that cannot be read.
        """
        if not capabilities.bias:
            return Wanted(style.language, None, tuple(words))
        spoken: Language | None = next((code for code in LANGUAGES if code == style.language), None)
        lexicon = self._formatters.lexicon(style.tenant, style.department, style.person, spoken)
        return Wanted(style.language, lexicon, tuple(words))
