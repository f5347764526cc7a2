"""`medstt models`: list, show, verify, promote, roll back, export and remove model versions.

Owns the tables and JSON that are printed. Knows nothing of how versions are kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from medstt.registry import ModelStore, RegisteredModel

app = typer.Typer(help="List, inspect, verify, promote and roll back model versions.", add_completion=False)

Label = Annotated[str, typer.Argument(metavar="NAME[@VERSION|:ALIAS]", help="A registered model version.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that ship with the package and every registered version."""
    from medstt.registry import built_in_models

    versions = _store().models()
    if as_json:
        shipped = [{"name": name, "path": str(path)} for name, path in built_in_models().items()]
        _print_json({"built_in": shipped, "registered": [_encode(model) for model in versions]})
        return
    for name in built_in_models():
        print(f"{name:30}  built in")
    for model in versions:
        aliases = ", ".join(model.aliases)
        print(f"{model.label:30}  {model.digest[:12]}  {model.card.created or '-':20}  {aliases}".rstrip())
    if not versions:
        print("No version is registered yet.", file=sys.stderr)


@app.command()
def show(label: Label, as_json: AsJson = False) -> None:
    """Show a version's card, its aliases and the history of its name."""
    from medstt.registry import ModelStore, digest_model, read_card, read_digests
    from medstt.registry.card import encode_card

    home = _home()
    folder, name = _locate(label, home)
    store = ModelStore(home / "models")
    base, _, version = name.partition("@")
    card, digest = encode_card(read_card(folder)), digest_model(read_digests(folder))
    aliases = store.show(base, version).aliases if version else ()
    history = [_fields(event) for event in store.history(base)] if base else []
    if as_json:
        known = {"name": base, "version": version or None, "digest": digest, "path": str(folder)}
        _print_json({**known, "aliases": list(aliases), "card": card, "history": history})
        return
    kind = ", ".join(aliases) if version else "built in" if name else "a folder, not registered"
    print(f"{name or folder}  {kind}".rstrip())
    print(f"digest {digest}\nfolder {folder}")
    print(json.dumps(card, indent=2, ensure_ascii=False))
    for event in history:
        forced = f" forced: {event['why']}" if event["forced"] else ""
        print(f"{event['at']} {event['action']} {event['alias']} -> {event['version']}{forced}")


@app.command()
def verify(
    labels: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME[@VERSION]]...", help="None: all of them.")
    ] = None,
) -> None:
    """Compare every file with its recorded digest; the exit code is 1 if one differs."""
    from medstt.errors import CorruptModel, ModelError
    from medstt.registry import ModelStore, built_in_models, verify_files

    home = _home()
    folders = {label: _locate(label, home)[0] for label in labels or ()}
    if not labels:
        store = ModelStore(home / "models")
        folders = {**built_in_models()}
        folders |= {f"{name}@{v}": store.root / name / v for name in store.names() for v in store.versions(name)}
    failed = False
    for label, folder in folders.items():
        try:
            print(f"{label}: ok, {verify_files(folder)}")
        except (CorruptModel, ModelError) as error:
            failed = True
            print(f"medstt: {label}: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@app.command()
def promote(
    label: Label,
    force: Annotated[bool, typer.Option("--force", help="Promote without a pass of the gate; needs --why.")] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the history.")] = "",
) -> None:
    """Make a version the champion of its name; refused unless the gate's pass is recorded in its card."""
    store = _store()
    model = _find(store, label)
    event = store.promote(model.name, model.version, force=force, why=why)
    how = " (forced, recorded)" if event.forced else ""
    print(f"{model.label} is the champion{how}; before: {event.previous or 'none'}")


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")],
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the history.")] = "",
) -> None:
    """Make the champion's predecessor champion again."""
    event = _store().rollback(name, why)
    print(f"{name}@{event.version} is the champion; before: {event.previous}")


@app.command()
def export(
    label: Label,
    out: Annotated[Path, typer.Option("--out", help="A new folder for the copy.")],
    packed: Annotated[
        bool, typer.Option("--packed", help="Weights as int8 rows, half the size, to keep a model in a repository.")
    ] = False,
    bits: Annotated[int, typer.Option("--bits", min=4, max=8, help="With --packed: bits of a weight.")] = 8,
) -> None:
    """Write a verified version to a folder in Hugging Face's layout, for another machine or another tool."""
    from medstt.registry import is_packed, pack, unpack, verify_files
    from medstt.registry.store import copy_model

    folder, _ = _locate(label, _home())
    verify_files(folder)
    if packed and not is_packed(folder):
        print(pack(folder, out, bits=bits))
    else:
        print((unpack if is_packed(folder) and not packed else copy_model)(folder, out))


@app.command()
def remove(label: Label) -> None:
    """Delete a version; refused while an alias points to it."""
    store = _store()
    name, mark, version = label.partition("@")
    if not mark:
        from medstt.errors import OptionError

        raise OptionError(f"{label} names no version", f"Say which, as in {label}@1")
    store.remove(name, version)
    print(f"{label} is removed")


@app.command()
def mirror(
    uri: Annotated[
        str | None, typer.Option("--uri", help="MLflow's tracking URI; none: the setting mlflow_uri.")
    ] = None,
) -> None:
    """Mirror finished runs and versions to MLflow, those that are not there yet; safe to repeat."""
    from medstt.registry.mlflow import default_uri, mirror, without_password
    from medstt.service import read_settings

    settings = read_settings()
    target = uri or settings.mlflow_uri or default_uri(settings.home)
    runs, versions = mirror(_store(), settings.home / "runs", target)
    print(f"{without_password(target)}: {len(runs)} runs and {len(versions)} versions are new")
    for name in [*runs, *versions]:
        print(f"  {name}")


def _home() -> Path:
    from medstt.service import read_settings

    return read_settings().home


def _store() -> ModelStore:
    from medstt.registry import ModelStore

    return ModelStore(_home() / "models")


def _locate(label: str, home: Path) -> tuple[Path, str]:
    """Return folder and full name of a version that is registered or built in; a folder of one's own has no name."""
    from medstt.errors import UnknownModel
    from medstt.registry import locate_model

    found = locate_model(label, home)
    if found is None:
        raise UnknownModel(f"{label!r} is a hub id, not a version kept here", "See `medstt models list`")
    return found


def _find(store: ModelStore, label: str) -> RegisteredModel:
    """Return the version meant: of a bare name the champion, else the newest."""
    from medstt.errors import UnknownModel
    from medstt.registry.resolve import find_registered

    model = find_registered(store, label)
    if model is None:
        known = ", ".join(store.names()) or "none"
        raise UnknownModel(f"No version of {label!r} is registered (names: {known})", "See `medstt models list`")
    return model


def _encode(model: RegisteredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "digest": model.digest,
        "path": str(model.path),
        "created": model.card.created,
        "aliases": list(model.aliases),
    }


def _fields(event: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(event)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
