from __future__ import annotations

from typing import Any

import pytest

from medstt.errors import NotFoundError, OptionError, StaleError
from medstt.store.vocabulary import Place

SITE = Place("site", "", "words")


def test_versions_are_appended_and_the_stale_are_refused(store: Any) -> None:
    assert store.vocabularies.get("a", SITE).version == 0
    first = store.vocabularies.put("a", SITE, [{"written": "Kardiolex"}], 0, "Dr. A")
    second = store.vocabularies.put("a", SITE, [{"written": "Kardiolex"}, {"written": "Nephrolex"}], 1, "Dr. A")
    assert (first.version, second.version) == (1, 2)
    assert first.digest != second.digest
    with pytest.raises(StaleError):
        store.vocabularies.put("a", SITE, [], 1, "Dr. B")
    assert store.vocabularies.get("a", SITE, 1).entries == first.entries
    with pytest.raises(NotFoundError):
        store.vocabularies.get("a", SITE, 9)
    assert store.vocabularies.get("b", SITE).version == 0


def test_layers_apply_from_site_to_user(store: Any) -> None:
    for place in (Place("user", "Dr. A", "words"), SITE, Place("department", "cardio", "words")):
        store.vocabularies.put("a", place, [{"written": place.layer}], 0, "x")
    found = store.vocabularies.layers("a", "cardio", "Dr. A")
    assert [version.place.layer for version in found["words"]] == ["site", "department", "user"]
    assert found["templates"] == []
    assert [version.place.layer for version in store.vocabularies.layers("a", "", "Dr. B")["words"]] == ["site"]
    store.vocabularies.put("a", SITE, [{"written": "new"}], 1, "x")
    assert store.vocabularies.layers("a", "cardio", "Dr. A")["words"][0].entries == ({"written": "new"},)
    assert store.vocabularies.layers("b", "cardio", "Dr. A")["words"] == []


@pytest.mark.parametrize("place", [Place("x", "", "words"), Place("site", "", "x"), Place("user", "", "words")])
def test_unknown_places_are_refused(store: Any, place: Place) -> None:
    with pytest.raises(OptionError):
        store.vocabularies.get("a", place)
