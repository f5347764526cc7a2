"""How strongly names are favoured and checked: safe defaults, and the values a model's card was tuned to.

Knows nothing of phrases, tokens or engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from medstt.errors import CorruptModel

CARD_KEY = "bias"


@dataclass(frozen=True, slots=True)
class BiasOptions:
    """Weights of the bias and margins of the check, in nats. The defaults are those of a model never tuned.

    A phrase's token number d >= 2 is worth ``boost * (1 + ln d)`` times the phrase's weight, its first token ``entry``
    (0-0.5) times ``boost``: a word only begins like a name where the model thought so itself. ``builtin``,
    ``site``, ``department`` and ``user`` multiply the weights of their layers. A boost of 0 switches the bias off.

    The built-in vocabulary is favoured by tuned models alone: in a weak model thousands of names invent more than they
    find (measured at 90 % WER: spurious terms rose from 0.8 to 5 % of the words at a boost of 0.5).

    A word heard with a probability below ``doubt`` is compared with names of like sound. A name replaces what is no
    word of the lexicon if it is at most ``replace`` nats less likely for the same audio (negative: it must be more
    likely); a reading at most ``keep`` nats less likely is kept as an alternative and flagged. Where a model has a head
    that hears letters, a nat of it counts ``letters`` times as much as one of the decoder; 0 leaves it unasked.
    """

    boost: float = 0.5
    entry: float = 0.0
    builtin: float = 0.0
    site: float = 1.0
    department: float = 1.0
    user: float = 1.0
    doubt: float = 0.5
    replace: float = -2.0
    keep: float = 4.0
    letters: float = 2.5

    def weigh(self, layer: str) -> float:
        """Return the factor of a layer."""
        named = {"site": self.site, "department": self.department, "user": self.user}
        return named.get(layer, self.builtin)

    def encode(self) -> dict[str, float]:
        """Return the values as they stand in a card."""
        return asdict(self)


def parse_bias_options(card: Mapping[str, Any], where: str) -> BiasOptions:
    """Return the values a card was tuned to, defaults for what it does not say.

    Raises CorruptModel naming ``where`` and the key that is not a number or out of its range.
    """
    tuned = card.get(CARD_KEY)
    if tuned is None:
        return BiasOptions()
    if not isinstance(tuned, Mapping):
        raise CorruptModel(f"{where}: {CARD_KEY} is not a table", "Correct the card, or tune the bias again")
    known = {item.name for item in fields(BiasOptions)}
    values = {key: value for key, value in tuned.items() if key in known}
    for key, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise CorruptModel(f"{where}: {CARD_KEY}.{key} is not a number", "Correct the card, or tune the bias again")
        check_value(key, float(value), where)
    return BiasOptions(**values)


def check_value(key: str, value: float, where: str) -> None:
    """Raise CorruptModel for a value outside its range."""
    low, high = _RANGES.get(key, (0.0, 10.0))
    if not low <= value <= high:
        raise CorruptModel(f"{where}: {CARD_KEY}.{key} is {value}, not within {low} to {high}", "Correct the card")


_RANGES = {"entry": (0.0, 0.5), "doubt": (0.0, 1.0), "replace": (-20.0, 20.0), "keep": (0.0, 50.0), "boost": (0.0, 4.0)}
