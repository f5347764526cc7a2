"""From the name a user gives to a folder of model files, verified.

Order: a local folder; ``champion`` or another bare alias; ``NAME``, ``NAME@VERSION`` or ``NAME:ALIAS`` of the store; a
model that ships with the package; a hub id with a slash. Knows nothing of engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medstt.errors import ModelError, OptionError, UnknownModel
from medstt.registry.card import Card, encode_card, read_card
from medstt.registry.ctranslate2 import convert_ctranslate2
from medstt.registry.digest import CARD, DIGESTS, digest_files, digest_model, verify_files
from medstt.registry.layout import BINARY, INDEX, PACKED, WEIGHTS, convert_once, is_ctranslate2, is_packed
from medstt.registry.packed import unpack
from medstt.registry.store import CHALLENGER, CHAMPION, ModelStore, RegisteredModel

BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "models"

_READABLE = (WEIGHTS, INDEX, PACKED, BINARY)
# Weights in forms of other programs: file -> what the folder is.
_FOREIGN = {
    "decoder.onnx": "is an engine's conversion (decoder.onnx), which holds no tokenizer",
    "decoder_model.onnx": "is exported to ONNX by another tool (decoder_model.onnx)",
    "pytorch_model.bin": "holds its weights as pytorch_model.bin, which can run code when it is read",
}
_TELLING = ("config.json", *_READABLE, *_FOREIGN)  # a folder with one of them is meant to be a model


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model ready to be loaded: ``path`` is in Hugging Face's layout, whatever form the version has.

    ``digest`` is the version's as recorded, None where its folder records none (the engine computes one).
    """

    path: Path
    name: str
    digest: str | None
    card: Card | None


def built_in_models(folder: Path = BUILT_IN_FOLDER) -> Mapping[str, Path]:
    """Return name -> folder of the models that ship with the package."""
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if (path / CARD).is_file()}


def resolve_model(name: str, home: Path, built_in: Path = BUILT_IN_FOLDER) -> ResolvedModel:
    """Return the folder behind a name with its digests verified; ``home`` is the folder that holds ``models/``.

    Raises UnknownModel (naming near names), CorruptModel, OptionError for an ambiguous alias, ModelUnavailable when a
    download needs a network and ResourceError where a packed version cannot be unpacked into the cache.
    """
    found = locate_model(name, home, built_in)
    if found is None:
        return _from_hub(name)
    path, label = found
    card = read_card(path) if (path / CARD).is_file() else None
    recorded = is_packed(path) or (path / DIGESTS).is_file()
    digest = verify_files(path) if recorded else None
    if is_ctranslate2(path):
        digest = digest or digest_model(digest_files(path, encode_card(card) if card else {}))
    return ResolvedModel(_ordinary(path, digest, home), label or (card.name if card else path.name), digest, card)


def _ordinary(path: Path, digest: str | None, home: Path) -> Path:
    """Return a folder in Hugging Face's layout: the same, or what is made of it once in the cache of ``home``."""
    write = unpack if is_packed(path) else convert_ctranslate2 if is_ctranslate2(path) else None
    if write is None or digest is None:
        return path
    card = path / CARD  # not wholly in the digest: weights tuned later stand in it
    told = hashlib.sha256(digest.encode() + (card.read_bytes() if card.is_file() else b"")).hexdigest()
    return convert_once(path, told, home / "cache" / "models", write)


def locate_model(name: str, home: Path, built_in: Path = BUILT_IN_FOLDER) -> tuple[Path, str] | None:
    """Return the unverified folder behind a name and its full name (none for a local folder); None for a hub id.

    A bare ``NAME`` means its champion, else the model of that name that ships with the package, else its newest
    version: what was never promoted does not take a shipped model's place. Raises UnknownModel and OptionError.
    """
    store = ModelStore(home / "models")
    shipped = built_in_models(built_in)
    local = _local_folder(name)
    if local is not None:
        return local, ""
    if name in (CHAMPION, CHALLENGER):
        registered: RegisteredModel | None = _bare_alias(store, name)
    else:
        registered = find_registered(store, name)
        if name in shipped and (registered is None or CHAMPION not in registered.aliases):
            return shipped[name], name
    if registered is not None:
        return registered.path, registered.label
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return None
    raise _unknown(name, store, shipped)


def _local_folder(name: str) -> Path | None:
    """Return the folder if the name is a path of one; a bare word counts only with a separator or model files in it."""
    path = Path(name).expanduser()
    looks_like_path = "/" in name or "\\" in name or name in (".", "..")
    if path.is_dir() and (
        looks_like_path or any((path / file).is_file() for file in ("config.json", BINARY, *_FOREIGN))
    ):
        _check_readable(path)
        return path.resolve()
    if name.startswith((".", "/", "~")):
        what = "is not a folder" if path.exists() else "does not exist"
        raise UnknownModel(f"The model folder {name} {what}", "Give the folder that holds config.json")
    return None


def _check_readable(path: Path) -> None:
    """Raise UnknownModel for a folder without a model, ModelError for one in another program's form."""
    if not any((path / file).is_file() for file in (*_TELLING, CARD)):
        raise UnknownModel(f"{path} holds no model (no config.json)", "Give a folder in Hugging Face layout")
    if not any((path / file).is_file() for file in _READABLE):
        for file, what in _FOREIGN.items():
            if (path / file).is_file():
                raise ModelError(
                    f"{path} {what}",
                    "Give the folder or hub id it was made from, with config.json and model.safetensors; medstt"
                    " converts it on first use",
                )


def find_registered(store: ModelStore, label: str) -> RegisteredModel | None:
    """Return what ``NAME``, ``NAME@VERSION`` or ``NAME:ALIAS`` means; None if no version of that name is registered.

    A bare name means its champion, else its newest version. Raises UnknownModel for a version or alias it lacks.
    """
    base, separator, rest = next((parts for mark in "@:" if (parts := label.partition(mark))[1]), (label, "", ""))
    if base not in store.names():
        return None
    aliases = store.aliases(base)
    if separator == ":" and rest not in aliases:
        known = ", ".join(sorted(aliases)) or "none"
        raise UnknownModel(f"{base} has no alias {rest!r} (it has: {known})", "Set one with `medstt models promote`")
    newest = aliases.get(CHAMPION, store.versions(base)[-1])
    return store.show(base, {"@": rest, ":": aliases.get(rest, ""), "": newest}[separator])


def _bare_alias(store: ModelStore, alias: str) -> RegisteredModel:
    holders = [name for name in store.names() if alias in store.aliases(name)]
    if not holders:
        raise UnknownModel(
            f"No registered model is the {alias}", "Promote one with `medstt models promote NAME@VERSION`"
        )
    if len(holders) > 1:
        choices = ", ".join(f"{name}:{alias}" for name in holders)
        raise OptionError(f"Several models have a {alias}", f"Name one of {choices}")
    return store.show(holders[0], store.aliases(holders[0])[alias])


def _from_hub(name: str) -> ResolvedModel:
    from medstt.engine.hub import fetch

    repository, _, revision = name.partition("@")
    return ResolvedModel(fetch(repository, revision or None), name, None, None)


def _unknown(name: str, store: ModelStore, shipped: Mapping[str, Path]) -> UnknownModel:
    from rapidfuzz import fuzz, process

    known = sorted({*store.names(), *shipped})
    near = [match for match, score, _ in process.extract(name, known, scorer=fuzz.WRatio, limit=3) if score >= 60]
    if near:
        return UnknownModel(f"There is no model {name!r}", f"Did you mean {' or '.join(near)}?")
    listing = f"Known models: {', '.join(known)}" if known else "No model is registered"
    return UnknownModel(f"There is no model {name!r}", f"{listing}; a hub id has a slash, a folder starts with ./ or /")
