"""Routes of a team's word lists, auto-texts and templates. Knows nothing of how they are used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ValidationError

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf
from medstt.api.dictation import IfMatch, etag, version_of
from medstt.api.rule import require
from medstt.errors import OptionError, VocabError
from medstt.store.key import Caller
from medstt.store.vocabulary import Place, VocabularyVersion
from medstt.work.team import check_lists

router = APIRouter(prefix="/v1/vocabulary", tags=["vocabulary"], route_class=GuardedRoute)

ENTRIES: dict[str, type[BaseModel]] = {
    "words": schema.WordEntry,
    "autotexts": schema.AutotextEntry,
    "templates": schema.TemplateEntry,
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


def _view(found: VocabularyVersion) -> schema.VocabularyView:
    place = found.place
    return schema.VocabularyView(
        layer=place.layer,
        owner=place.owner,
        kind=place.kind,
        version=found.version,
        digest=found.digest,
        author=found.author,
        at_ms=found.at_ms,
        entries=[dict(entry) for entry in found.entries],
    )


@router.get("/{layer}/{kind}", response_model=schema.VocabularyView)
def read_list(
    layer: LayerName,
    kind: KindName,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    owner: Owner = None,
    version: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
) -> schema.VocabularyView:
    """Return a list, the newest version unless one is named."""
    found = service.store.vocabularies.get(caller.tenant, _place(caller, layer, kind, owner), version)
    response.headers["ETag"] = etag(found.version)
    return _view(found)


@router.put("/{layer}/{kind}", response_model=schema.VocabularyView)
def write_list(
    layer: LayerName,
    kind: KindName,
    body: schema.VocabularyBody,
    response: Response,
    caller: CallerOf,
    service: ServiceOf,
    owner: Owner = None,
    if_match: IfMatch = None,
) -> schema.VocabularyView:
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
