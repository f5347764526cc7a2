"""Routes of a team's word lists, auto-texts and templates, and what goes over the wire.

Knows nothing of how they are used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf
from medstt.api.etag import IfMatch, etag, version_of
from medstt.api.rule import require
from medstt.errors import OptionError, VocabError
from medstt.store.key import Caller
from medstt.store.vocabulary import Place, VocabularyVersion
from medstt.work.team import check_lists

router = APIRouter(prefix="/v1/vocabulary", tags=["vocabulary"], route_class=GuardedRoute)


_Phrase = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f;]+$")]


class WordEntry(schema.Strict):
    """A term of a team's word list, as in the lexicon's tables."""

    term: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f#][^\x00-\x1f]*$")]
    kind: Literal["drug", "brand", "condition", "anatomy", "procedure", "lab", "unit", "abbreviation", "name"]
    language: Literal["en", "de"]
    spoken: list[_Phrase] = Field([])
    variants: list[_Phrase] = Field([])

    @field_validator("term")
    @classmethod
    def _words(cls, value: str) -> str:
        if not value.strip() or value.strip() == "-":
            raise ValueError("is empty")
        return value


Spoken = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$")]


class AutotextEntry(schema.Strict):
    """A text that is written when it is called by name."""

    name: Spoken
    spoken: list[Spoken] = Field([], max_length=20)
    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]
    language: Literal["en", "de"]


class TemplateSection(schema.Strict):
    """A section of a template: its key, the title that is written and what may be said for it."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_-]+$")]
    title: Spoken
    spoken: list[Spoken] = Field([], max_length=50)
    required: bool = False


class TemplateEntry(schema.Strict):
    """A report's sections in order."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_-]+$")]
    language: Literal["en", "de"]
    sections: list[TemplateSection] = Field(min_length=1, max_length=50)
    default: Annotated[str, StringConstraints(max_length=64)] = Field(
        "", description="Section of text without heading."
    )


class VocabularyBody(schema.Strict):
    """All entries of a list; the version it replaces is named by If-Match."""

    entries: list[dict[str, Any]] = Field(max_length=50_000)


class VocabularyView(BaseModel):
    """A version of a list; 0 stands for one that nobody wrote yet."""

    layer: Literal["site", "department", "user"]
    owner: str
    kind: Literal["words", "autotexts", "templates"]
    version: int
    digest: str
    author: str
    at_ms: int
    entries: list[dict[str, Any]]


ENTRIES: dict[str, type[BaseModel]] = {
    "words": WordEntry,
    "autotexts": AutotextEntry,
    "templates": TemplateEntry,
}
LayerName = Literal["site", "department", "user"]
KindName = Literal["words", "autotexts", "templates"]
Owner = Annotated[schema.Plain | None, Query(description="Department or person; the caller's own if left out.")]


def _place(caller: Caller, layer: str, kind: str, owner: str | None) -> Place:
    own = {"site": "", "department": caller.department, "user": caller.person}[layer]
    chosen = own if owner is None else owner
    if layer == "department" and not chosen:
        raise OptionError("this key has no department", "Name one by owner.")
    return Place(layer, chosen, kind)


def _view(found: VocabularyVersion) -> VocabularyView:
    place = found.place
    return VocabularyView(
        layer=place.layer,
        owner=place.owner,
        kind=place.kind,
        version=found.version,
        digest=found.digest,
        author=found.author,
        at_ms=found.at_ms,
        entries=[dict(entry) for entry in found.entries],
    )


@router.get("/{layer}/{kind}", response_model=VocabularyView)
def read_list(
    layer: LayerName,
    kind: KindName,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    owner: Owner = None,
    version: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
) -> VocabularyView:
    """Return a list, the newest version unless one is named."""
    found = service.store.vocabularies.get(caller.tenant, _place(caller, layer, kind, owner), version)
    response.headers["ETag"] = etag(found.version)
    return _view(found)


@router.put("/{layer}/{kind}", response_model=VocabularyView)
def write_list(
    layer: LayerName,
    kind: KindName,
    body: VocabularyBody,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    owner: Owner = None,
    if_match: IfMatch = None,
) -> VocabularyView:
    """Replace a list by a new version; one's own with any writing role, others' with vocabulary.write.shared."""
    place = _place(caller, layer, kind, owner)
    if layer != "user" or place.owner != caller.person:
        require(caller, "vocabulary.write.shared")
    entries = _checked(kind, body.entries)
    current = service.store.vocabularies.get(caller.tenant, place).version
    version = version_of(if_match, current)
    found = service.store.vocabularies.put(caller.tenant, place, entries, version, caller.person)
    response.headers["ETag"] = etag(found.version)
    return _view(found)


def _checked(kind: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entries with every field filled in; raises VocabError naming the entry and the field."""
    checked = []
    for number, entry in enumerate(entries):
        try:
            checked.append(ENTRIES[kind].model_validate(entry).model_dump())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise VocabError(f"entries[{number}].{place}: {first['msg']}", "Correct that entry.") from error
    check_lists(kind, checked)
    return checked
