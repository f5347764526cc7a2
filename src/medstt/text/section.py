"""Spoken headings -> sections: found where a sentence begins, and put in a template's order.

Knows nothing of what the sections say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from medstt.text.item import Item
from medstt.text.layout import Page, lay_out
from medstt.text.pack import Heading, Pack, Phrases
from medstt.text.style import Style
from medstt.text.template import Template
from medstt.values import Section


@dataclass(frozen=True, slots=True)
class Passage:
    """A heading (empty before the first one) and the items under it."""

    heading: Heading | None
    title: tuple[Item, ...]
    body: tuple[Item, ...]


def split_passages(items: list[Item], pack: Pack, template: Template | None) -> list[Passage]:
    """Cut the items at spoken headings: a heading begins a sentence and is followed by a colon or a line break.

    With a template a heading of its own may also stand bare at the start of a line or after a full stop.
    """
    phrases = _phrases(pack, template)
    cuts: list[tuple[int, int, int, Heading]] = []
    fresh, firm = True, True
    for position, item in enumerate(items):
        if item.kind == "act":
            continue
        if fresh and item.kind == "word":
            found = phrases.match(items, position)
            if found:
                body = _body_start(items, found[1], bare=template is not None and firm)
                if body is not None:
                    cuts.append((position, found[1], body, found[0]))
        ends = item.kind == "break" or (item.kind == "mark" and item.low in (".", "?", "!"))
        fresh, firm = ends, ends
    return _passages(items, cuts)


def _phrases(pack: Pack, template: Template | None) -> Phrases[Heading]:
    if template is None:
        return pack.heading
    rows = [
        (spoken, Heading(section.key, section.title, section.spoken))
        for section in template.sections
        for spoken in dict.fromkeys((*section.spoken, section.title.lower()))
    ]
    mine = {spoken for spoken, _ in rows}
    rows += [(spoken, heading) for heading in pack.headings for spoken in heading.spoken if spoken not in mine]
    return Phrases(rows)


def _body_start(items: list[Item], end: int, *, bare: bool) -> int | None:
    """The index where a heading's text begins, or None where the phrase is no heading."""
    if end < len(items) and items[end].kind == "mark" and items[end].low in (":", "."):
        return end + 1 if items[end].low == ":" or bare else None
    if end < len(items) and items[end].kind == "break":
        return end + 1
    return end if bare and end < len(items) and items[end].kind != "mark" else None


def _passages(items: list[Item], cuts: list[tuple[int, int, int, Heading]]) -> list[Passage]:
    first = cuts[0][0] if cuts else len(items)
    passages = [Passage(None, (), tuple(items[:first]))] if first else []
    for number, (start, _, body, heading) in enumerate(cuts):
        stop = cuts[number + 1][0] if number + 1 < len(cuts) else len(items)
        passages.append(Passage(heading, tuple(items[start:body]), tuple(items[body:stop])))
    return passages


def lay_out_plain(items: list[Item], pack: Pack, style: Style) -> tuple[Page, tuple[Section, ...]]:
    """Write the items in dictated order and name the sections found."""
    passages = split_passages(items, pack, None)
    page = lay_out(items, pack, style)
    starts: list[tuple[Passage, int]] = []
    seen = 0
    for passage in passages:
        if passage.heading is not None:
            starts.append((passage, page.spans[seen].start))
        seen += len(passage.title) + len(passage.body)
    ends = [*[start for _, start in starts[1:]], page.length][: len(starts)]
    sections = tuple(
        Section(passage.heading.key, passage.heading.title, start, end)
        for (passage, start), end in zip(starts, ends, strict=True)
        if passage.heading is not None
    )
    return page, sections


def lay_out_template(
    items: list[Item], pack: Pack, style: Style, template: Template
) -> tuple[Page, tuple[Section, ...], tuple[str, ...]]:
    """Write the sections in the template's order; return page, sections and the titles of required ones missing."""
    passages = split_passages(items, pack, template)
    by_key: dict[str, list[Passage]] = {}
    for passage in passages:
        key = passage.heading.key if passage.heading else template.default
        by_key.setdefault(key, []).append(passage)
    titles = {section.key: section.title for section in template.sections}
    order = [key for key in ("", *titles) if key in by_key] + [key for key in by_key if key and key not in titles]
    page = Page()
    sections: list[Section] = []
    for key in order:
        group = by_key[key]
        heading = next((passage.heading for passage in group if passage.heading), None)
        title = titles.get(key) or (heading.title if heading else "")
        start = _write_section(page, title, group, pack, style)
        if title:
            sections.append(Section(key, title, start, page.length))
    missing = tuple(section.title for section in template.sections if section.required and section.key not in by_key)
    return page, tuple(sections), missing


def _write_section(page: Page, title: str, group: list[Passage], pack: Pack, style: Style) -> int:
    """Write one section under its title and return where it starts."""
    if page.length:
        page.write("\n\n")
    start = page.length
    if title:
        words = tuple(index for passage in group for item in passage.title for index in item.words)
        page.add(f"{title}:", Item("word", title, title.lower(), words, "heading", "template"))
    body: list[Item] = []
    for passage in group:
        part = _trimmed(list(passage.body))
        if body and part:
            body.append(Item("break", "\n", "\n", (), "section", "template"))
        body += part
    if title and body:
        page.write("\n")
    inner = lay_out(body, pack, style)
    for span in inner.spans:
        page.spans.append(replace(span, start=span.start + page.length, end=span.end + page.length))
    page.write(inner.text)
    return start


def _trimmed(items: list[Item]) -> list[Item]:
    """Drop breaks at both ends; the section's own layout sets them."""
    while items and items[0].kind == "break":
        items = items[1:]
    while items and items[-1].kind == "break":
        items = items[:-1]
    return items
