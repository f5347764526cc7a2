"""What the service listens for: the word lists of a person's site and department, and a request's own words.

Knows nothing of how lists are edited or of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from medstt.engine.bias import NameLists, Names
from medstt.engine.protocol import Engine
from medstt.values import LANGUAGES, Language
from medstt.work.process import Style
from medstt.work.team import TeamFormatters

NO_EFFECT = "prompt has no effect: this engine cannot listen for names"


class TeamNames:
    """Opens the names for one recording; lists that were used before are found in microseconds."""

    def __init__(self, formatters: TeamFormatters, lists: NameLists) -> None:
        self._formatters = formatters
        self._lists = lists

    def __call__(self, engine: Engine, style: Style, words: Sequence[str] = ()) -> Names:
        """Return what listens for a person's names in the style's language, or in all; ``words`` are kept nowhere.

        Raises VocabError for a list that cannot be read, CorruptModel for a model's card.
        """
        if not engine.capabilities.bias:
            return Names(None, None, 0, (NO_EFFECT,) if words else ())
        spoken: Language | None = next((code for code in LANGUAGES if code == style.language), None)
        lexicon = self._formatters.lexicon(style.tenant, style.department, style.person, spoken)
        return self._lists.add_words(engine, self._lists.open(engine, lexicon), words)
