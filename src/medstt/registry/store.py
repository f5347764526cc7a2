"""The directory of model versions: ``ROOT/NAME/VERSION/`` with card and digests, ``ROOT/NAME/aliases.json``.

Every change is whole or absent after a kill at any point. Needs nothing but files; knows nothing of networks, engines
or how a verdict is reached.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medstt.disk import (
    copy_durably,
    locked_file,
    naming_disk_errors,
    new_folder,
    sync_folder,
    write_atomically,
    write_durably,
)
from medstt.errors import ConflictError, CorruptModel, NotFoundError, NotPromotable, OptionError, UnknownModel
from medstt.registry.card import Card, Verdict, encode_card, read_card, write_card
from medstt.registry.digest import CARD, DIGESTS, digest_files, digest_model, list_files, read_digests, verify_files
from medstt.values import ModelVersion

ALIASES = "aliases.json"
CHAMPION = "champion"
CHALLENGER = "challenger"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LOCK_WAIT_S = 30


@dataclass(frozen=True, slots=True)
class AliasEvent:
    """One change of an alias; the log of them is never shortened. ``at`` is ISO 8601, UTC."""

    action: str
    alias: str
    version: str
    previous: str | None
    at: str
    forced: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """One version in the store with its folder, card, digest and the aliases that point to it."""

    name: str
    version: str
    path: Path
    digest: str
    card: Card
    aliases: tuple[str, ...]

    @property
    def label(self) -> str:
        """``NAME@VERSION``."""
        return f"{self.name}@{self.version}"

    def as_version(self) -> ModelVersion:
        """Return the shared value that other parts record."""
        card = self.card
        return ModelVersion(
            self.name, self.version, self.digest, card.parent, card.recipe, card.data, card.vocab, card.report
        )


class ModelStore:
    """All registered versions below one folder; safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # -- reading ------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names that have at least one version."""
        if not self.root.is_dir():
            return []
        found = (path.name for path in self.root.iterdir() if path.is_dir() and NAME_PATTERN.fullmatch(path.name))
        return sorted(name for name in found if self.versions(name))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a name, oldest first (numbers by value, other names after them)."""
        folder = self.root / name
        if not NAME_PATTERN.fullmatch(name) or not folder.is_dir():
            return []
        found = (path.name for path in folder.iterdir() if (path / CARD).is_file() and not path.name.startswith("."))
        return sorted(found, key=_version_order)

    def models(self) -> list[RegisteredModel]:
        """Return every version of every name; a version whose card is damaged is raised, not hidden."""
        return [self.show(name, version) for name in self.names() for version in self.versions(name)]

    def show(self, name: str, version: str) -> RegisteredModel:
        """Return one version; raises UnknownModel."""
        if version not in self.versions(name):
            known = ", ".join(self.versions(name)) or "none"
            raise UnknownModel(
                f"{name}@{version} is not registered (versions of {name}: {known})", "See `medstt models list`"
            )
        folder = self.root / name / version
        aliases = tuple(sorted(alias for alias, target in self.aliases(name).items() if target == version))
        return RegisteredModel(name, version, folder, digest_model(read_digests(folder)), read_card(folder), aliases)

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias -> version of one name."""
        return dict(self._read_aliases(name)["aliases"])

    def history(self, name: str) -> tuple[AliasEvent, ...]:
        """Return every alias change of one name, oldest first."""
        return tuple(AliasEvent(**event) for event in self._read_aliases(name)["history"])

    def verify(self, name: str, version: str) -> str:
        """Compare a version's files with its digests and return the model's digest; raises CorruptModel."""
        return verify_files(self.show(name, version).path)

    # -- adding and removing ------------------------------------------------------------------------------------

    def add(self, source: Path, card: Card, version: str | None = None) -> RegisteredModel:
        """Copy a model folder in as a new version of ``card.name``; ``version`` None takes the next number.

        The version appears by one rename after everything is on the disk. Adding the same files again as the newest
        version returns that version, so that a step killed after registering can be run again.
        """
        name = _checked(card.name, "name")
        if not list_files(source):
            raise UnknownModel(f"{source} holds no model files", "Give the folder of an exported model")
        digests = digest_files(source, encode_card(card))
        with self._locked(name) as folder:
            existing = self.versions(name)
            if version is None:
                if existing and digest_model(digests) == self.show(name, existing[-1]).digest:
                    return self.show(name, existing[-1])
                version = str(1 + max((int(item) for item in existing if item.isdigit()), default=0))
            _checked(version, "version")
            if version in existing:
                raise ConflictError(
                    f"{name}@{version} exists", "Choose another version; versions are never overwritten"
                )
            created = card.created or _now()
            self._stage(source, folder, replace(card, version=version, created=created), digests)
        return self.show(name, version)

    def _stage(self, source: Path, folder: Path, card: Card, digests: dict[str, str]) -> None:
        with new_folder(folder / card.version) as staging:
            for name in list_files(source):
                copy_durably(source / name, staging / name)
            if digest_files(staging, encode_card(card)) != digests:
                raise ConflictError(
                    f"{source} changed while it was being copied", "Run again when nothing writes to it"
                )
            write_durably(staging / DIGESTS, _json(digests))
            write_durably(staging / CARD, _json(encode_card(card)))

    def remove(self, name: str, version: str) -> None:
        """Delete a version; raises ConflictError while an alias points to it."""
        with self._locked(name) as folder:
            model = self.show(name, version)
            if model.aliases:
                raise ConflictError(
                    f"{model.label} is the {' and '.join(model.aliases)}", "Promote another version first"
                )
            doomed = folder / f".{version}.removed"
            with naming_disk_errors(model.path):
                model.path.replace(doomed)
                sync_folder(folder)
                shutil.rmtree(doomed)

    def export(self, name: str, version: str, target: Path) -> Path:
        """Copy a verified version as it is to a new folder, for another machine, and return it."""
        model = self.show(name, version)
        verify_files(model.path)
        return copy_model(model.path, target)

    def record_verdict(self, name: str, version: str, verdict: Verdict) -> None:
        """Write what the gate said into a version's card."""
        with self._locked(name):
            model = self.show(name, version)
            write_card(model.path, replace(model.card, verdict=verdict))

    # -- aliases ------------------------------------------------------------------------------------------------

    def alias(self, name: str, alias: str, version: str) -> AliasEvent:
        """Point an alias other than champion to a version; the champion is made by ``promote``."""
        _checked(alias, "alias")
        if alias == CHAMPION:
            raise NotPromotable("The champion is not set by hand", "Use `medstt models promote`")
        with self._locked(name):
            self.show(name, version)
            return self._append(name, AliasEvent("alias", alias, version, self.aliases(name).get(alias), _now()))

    def promote(self, name: str, version: str, *, force: bool = False, why: str = "") -> AliasEvent:
        """Make a version the champion; raises NotPromotable without a recorded pass unless forced with a reason.

        The verdict must be for these very files and against the present champion. Promoting the champion again
        changes nothing and returns the event that made it so.
        """
        if force and not why.strip():
            raise OptionError("A forced promotion needs a reason", "Say it with --why")
        with self._locked(name):
            model = self.show(name, version)
            champion = self.aliases(name).get(CHAMPION)
            if champion == version:
                return next(e for e in reversed(self.history(name)) if e.alias == CHAMPION and e.version == version)
            verify_files(model.path)
            doubt = _doubt(model, f"{name}@{champion}" if champion else None)
            if doubt and not force:
                remedy = f"Run `medstt gate {model.label}`, or promote with --force --why REASON (both are recorded)"
                raise NotPromotable(f"{model.label}: {doubt}", remedy)
            forced = bool(doubt)
            return self._append(name, AliasEvent("promote", CHAMPION, version, champion, _now(), forced, why.strip()))

    def rollback(self, name: str, why: str = "") -> AliasEvent:
        """Make the champion's predecessor champion again; repeated calls walk further back."""
        with self._locked(name):
            champion = self.aliases(name).get(CHAMPION)
            made = [e for e in self.history(name) if e.action == "promote" and e.version == champion]
            previous = made[-1].previous if made else None
            if previous is None:
                raise NotFoundError(f"{name} has no earlier champion to go back to", "See `medstt models show`")
            self.show(name, previous)
            verify_files(self.root / name / previous)
            return self._append(name, AliasEvent("rollback", CHAMPION, previous, champion, _now(), why=why.strip()))

    def _append(self, name: str, event: AliasEvent) -> AliasEvent:
        state = self._read_aliases(name)
        state["aliases"][event.alias] = event.version
        state["history"].append(asdict(event))
        write_atomically(self.root / name / ALIASES, json.dumps(state, indent=2, ensure_ascii=False) + "\n")
        return event

    def _read_aliases(self, name: str) -> dict[str, Any]:
        path = self.root / name / ALIASES
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            return {"aliases": dict(state["aliases"]), "history": list(state["history"])}
        except FileNotFoundError:
            return {"aliases": {}, "history": []}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptModel(
                f"{path} cannot be read ({error})", "Restore it from a backup or delete it and promote again"
            ) from error

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        """Hold the name's lock (released by the system when the process dies) and clear what a kill left behind."""
        folder = self.root / _checked(name, "name")
        with naming_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with locked_file(folder / ".lock", LOCK_WAIT_S):
            for leftover in (*folder.glob(".*.partial"), *folder.glob(".*.removed")):
                shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
            yield folder


def copy_model(source: Path, target: Path) -> Path:
    """Copy a model folder with card and digests as it is to a new folder and return that."""
    with new_folder(target) as staging:
        for file in [*list_files(source), DIGESTS, CARD]:
            copy_durably(source / file, staging / file)
    return target


def _doubt(model: RegisteredModel, champion: str | None) -> str:
    """Return why the gate does not allow a version to be champion; empty if it does."""
    verdict = model.card.verdict
    if verdict is None:
        return "the promotion gate has no recorded verdict"
    if verdict.digest != model.digest:
        return f"the recorded verdict of {verdict.at} is for other files"
    if not verdict.passed:
        return "the promotion gate refused it" + (f" ({verdict.reasons[0]})" if verdict.reasons else "")
    if verdict.against != champion and champion is not None:
        return f"the gate compared it with {verdict.against or 'no champion'}, but the champion is now {champion}"
    return ""


def _checked(name: str, kind: str) -> str:
    if not NAME_PATTERN.fullmatch(name):
        raise OptionError(
            f"{name!r} is not a {kind}", "Use letters, digits, dot, hyphen and underscore, a letter or digit first"
        )
    return name


def _version_order(version: str) -> tuple[bool, int, str]:
    return (not version.isdigit(), int(version) if version.isdigit() else 0, version)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
