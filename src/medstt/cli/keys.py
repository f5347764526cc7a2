"""`medstt keys`: issue, list, rotate and revoke API keys; rotate the settings key. Knows nothing of HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="TOML file of the service.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Tenant of the key.")]
ACTOR = "command line"


@app.callback()
def keys() -> None:
    """Manage API keys, and the settings key that everything stored is encrypted under."""


@app.command()
def issue(
    person: Annotated[str, typer.Argument(help="Who will use the key.")],
    role: Annotated[str, typer.Option("--role", help="clinician, typist, reviewer, integrator or admin.")],
    tenant: Tenant = "main",
    department: Annotated[str, typer.Option("--department", help="Department whose vocabulary applies.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Narrow to this permission; repeatable.")] = None,
    days: Annotated[float | None, typer.Option("--days", help="Days until it expires.")] = None,
    settings_file: SettingsFile = None,
) -> None:
    """Issue a key and print it, the only time it is seen."""
    from medstt.api.rule import PERMISSIONS
    from medstt.errors import OptionError
    from medstt.service import open_settings_store, read_settings

    for name in scope or ():
        if name not in PERMISSIONS:
            raise OptionError(f"unknown scope {name!r}", f"Use any of {', '.join(PERMISSIONS)}.")
    store = open_settings_store(read_settings(settings_file))
    try:
        found = scope or None
        print(store.keys.issue(tenant, person, role, department=department, scopes=found, days=days, actor=ACTOR))
    finally:
        store.database.close()


@app.command("list")
def list_keys(tenant: Tenant = "main", settings_file: SettingsFile = None) -> None:
    """List keys without their secrets."""
    from medstt.service import open_settings_store, read_settings

    store = open_settings_store(read_settings(settings_file))
    try:
        for key in store.keys.list(tenant):
            state = "revoked" if key.revoked_ms else "valid"
            print(f"{key.key}  {key.role:<10}  {state:<8}  {key.person}")
    finally:
        store.database.close()


@app.command()
def rotate(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    tenant: Tenant = "main",
    settings_file: SettingsFile = None,
) -> None:
    """Replace a key by a new one with the same rights and print it."""
    from medstt.service import open_settings_store, read_settings

    store = open_settings_store(read_settings(settings_file))
    try:
        print(store.keys.rotate(tenant, key, ACTOR))
    finally:
        store.database.close()


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    tenant: Tenant = "main",
    settings_file: SettingsFile = None,
) -> None:
    """Revoke a key at once."""
    from medstt.service import open_settings_store, read_settings

    store = open_settings_store(read_settings(settings_file))
    try:
        store.keys.revoke(tenant, key, ACTOR)
    finally:
        store.database.close()


@app.command("rotate-settings")
def rotate_settings(
    retire: Annotated[
        bool, typer.Option("--retire", help="Remove old keys from the key file; restart every process first.")
    ] = False,
    settings_file: SettingsFile = None,
) -> None:
    """Encrypt every object's key under a new settings key; afterwards restart, then run again with --retire."""
    from medstt.service import open_settings_store, read_settings
    from medstt.store.upkeep import retire_old_keys, rotate_settings_key

    settings = read_settings(settings_file)
    store = open_settings_store(settings)
    try:
        place = (store.database, settings.storage_folder, settings.key_path, store.objects.ring)
        if retire:
            print(f"settings key {retire_old_keys(*place).active} is the only one now")
        else:
            ring, changed = rotate_settings_key(*place)
            print(f"settings key {ring.active}: {changed} objects and fields encrypted under it")
    finally:
        store.database.close()
