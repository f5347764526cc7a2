"""Report templates and auto-texts: TOML files of the project and the site, checked when loaded.

A site's file overrides the built-in entry of the same name. Knows nothing of dictation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medstt.errors import OptionError, VocabError
from medstt.text.pack import Phrases, read_toml
from medstt.values import LANGUAGES
from medstt.vocab.layers import builtin_vocab_folder

VARIABLE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
INCLUDE = re.compile(r"\{insert:([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class TemplateSection:
    """One section of a template: key, written title, spoken headings, and whether its absence is flagged."""

    key: str
    title: str
    spoken: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A report's sections in their order; ``default`` takes text before the first heading."""

    name: str
    language: str
    sections: tuple[TemplateSection, ...]
    default: str = ""


@dataclass(frozen=True, slots=True)
class AutoText:
    """A text inserted by name; ``{variable}`` is filled from the site's variables."""

    name: str
    language: str
    spoken: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class TemplateBook:
    """All templates and auto-texts of one language, the site's over the project's."""

    templates: Mapping[str, Template]
    auto_texts: Mapping[str, AutoText]
    phrases: Phrases[str]

    def template(self, name: str) -> Template:
        """Return a template by name; OptionError names those there are."""
        if name not in self.templates:
            known = ", ".join(sorted(self.templates)) or "none"
            raise OptionError(f"unknown template {name!r}", f"Choose one of: {known}.")
        return self.templates[name]


def load_templates(language: str, site: Path | None = None) -> TemplateBook:
    """Load the built-in templates and auto-texts, then those of the folder ``site``; VocabError names the fault."""
    templates: dict[str, Template] = {}
    auto_texts: dict[str, AutoText] = {}
    folders = [builtin_vocab_folder() / "templates", *([site] if site else [])]
    for folder in folders:
        if not folder.is_dir():
            raise VocabError(f"{folder}: no such folder", "Give the folder that holds the template files.")
        for path in sorted(folder.glob("*.toml")):
            _read_file(path, language, templates, auto_texts)
    _check_includes(auto_texts)
    rows = [(spoken, entry.name) for entry in auto_texts.values() for spoken in (entry.name.lower(), *entry.spoken)]
    return TemplateBook(templates, auto_texts, Phrases(rows))


def _read_file(path: Path, language: str, templates: dict[str, Template], auto_texts: dict[str, AutoText]) -> None:
    data = read_toml(path)
    unknown = set(data) - {"template", "auto_text"}
    if unknown:
        raise VocabError(f"{path}: unknown table {sorted(unknown)[0]!r}", "Use [[template]] and [[auto_text]].")
    for row in data.get("template", []):
        template = _template(path, row)
        if template.language == language:
            templates[template.name] = template
    for row in data.get("auto_text", []):
        entry = AutoText(
            _text(path, row, "name"), _language(path, row), tuple(_texts(path, row, "spoken")), _text(path, row, "text")
        )
        if entry.language == language:
            auto_texts[entry.name] = entry


def _template(path: Path, row: Mapping[str, Any]) -> Template:
    name = _text(path, row, "name")
    rows = row.get("section")
    if not isinstance(rows, list) or not rows:
        raise VocabError(f"{path}: template {name!r} has no section", "Add at least one [[template.section]].")
    sections = tuple(
        TemplateSection(
            _text(path, part, "key"),
            _text(path, part, "title"),
            tuple(spoken.lower() for spoken in _texts(path, part, "spoken")),
            bool(part.get("required", False)),
        )
        for part in rows
    )
    default = str(row.get("default", ""))
    if default and default not in {section.key for section in sections}:
        raise VocabError(f"{path}: template {name!r}: default {default!r} is no section", "Name the key of a section.")
    return Template(name, _language(path, row), sections, default)


def _text(path: Path, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        named = row.get("name", "?")
        raise VocabError(f"{path}: entry {named!r}: {key!r} must be a text", f'Give {key} = "...".')
    return value.strip("\n")


def _texts(path: Path, row: Mapping[str, Any], key: str) -> list[str]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry.strip() for entry in value):
        raise VocabError(
            f"{path}: entry {row.get('name', '?')!r}: {key!r} must be a list of texts", f'Give {key} = ["..."].'
        )
    return [entry.lower() for entry in value]


def _language(path: Path, row: Mapping[str, Any]) -> str:
    language = _text(path, row, "language")
    if language not in LANGUAGES:
        raise VocabError(f"{path}: unknown language {language!r}", f"Use one of: {', '.join(LANGUAGES)}.")
    return language


def _check_includes(auto_texts: Mapping[str, AutoText]) -> None:
    """Refuse an auto-text that includes a missing one, or itself over any number of steps."""
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            chain = " -> ".join((*path[path.index(name) :], name))
            raise VocabError(f"auto-texts include each other in a circle: {chain}", "Remove one {insert:...} of them.")
        if name in done:
            return
        for included in INCLUDE.findall(auto_texts[name].text):
            if included not in auto_texts:
                raise VocabError(f"auto-text {name!r} includes {included!r}, which does not exist", "Add or rename it.")
            visit(included, (*path, name))
        done.add(name)

    for name in auto_texts:
        visit(name, ())


def expand_auto_text(name: str, book: TemplateBook, variables: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return an auto-text with inclusions and variables filled, and the names of variables without a value."""
    text = book.auto_texts[name].text
    while INCLUDE.search(text):
        text = INCLUDE.sub(lambda match: book.auto_texts[match.group(1)].text, text)
    missing = tuple(dict.fromkeys(key for key in VARIABLE.findall(text) if key not in variables))
    return VARIABLE.sub(lambda match: variables.get(match.group(1), f"[{match.group(1)}]"), text), missing
