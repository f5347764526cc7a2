"""`medstt serve`: the service in one process, with its workers.

Owns the arguments and what is printed at the first start. Knows nothing of requests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="TOML file; without it HOME/medstt.toml if there is one.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model in service.")] = None,
    print_settings: Annotated[bool, typer.Option("--print-settings", help="Print a file of all settings.")] = False,
    print_openapi: Annotated[bool, typer.Option("--print-openapi", help="Print the API's description.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker threads in this process; 0 for none.")
    ] = None,
) -> None:
    """Serve the REST API and the page, with workers in the same process.

    At the very first start one line shows the admin key; it is not shown again.
    """
    from medstt.service import describe_settings, open_service, read_settings

    if print_settings:
        print(describe_settings(), end="")
        return
    from medstt.api.app import create_app, describe
    from medstt.api.server import make_server

    if print_openapi:
        print(json.dumps(describe(), indent=1, ensure_ascii=False))
        return
    settings = read_settings(settings_file, host=host, port=port, model=model, workers=workers)
    service = open_service(settings)
    try:
        key = service.store.keys.issue_first(settings.tenant)
        if key is not None:
            print(f"admin key: {key}", flush=True)
        if settings.preload:
            service.preload()
        service.start()
        make_server(create_app(service, settings), service, settings).run()
    finally:
        service.close()
