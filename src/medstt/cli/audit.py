"""`medstt audit`: check the audit chains. Knows nothing of what the entries mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Check the audit: who saw, changed, signed and exported what."""


@app.command()
def verify(
    settings_file: Annotated[Path | None, typer.Option("--settings", help="TOML file of the service.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant.")] = None,
    head: Annotated[str | None, typer.Option("--head", help="A head noted earlier; needs --tenant.")] = None,
) -> None:
    """Walk every chain; print its length and head, and exit with 1 if an entry was changed, removed or moved."""
    from medstt.errors import OptionError
    from medstt.service import open_settings_store, read_settings

    if head is not None and tenant is None:
        raise OptionError("--head belongs to one tenant", "Add --tenant.")
    store = open_settings_store(read_settings(settings_file))
    broken = False
    try:
        for name in [tenant] if tenant else store.audit.tenants():
            verdict = store.audit.verify(name, head)
            broken = broken or verdict.problem is not None
            print(f"{name}: {verdict.problem or 'intact'}; {verdict.entries} entries, head {verdict.head}")
    finally:
        store.database.close()
    if broken:
        raise typer.Exit(1)
