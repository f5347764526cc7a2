from __future__ import annotations

import json
from pathlib import Path

from medstt.api.app import describe

FILE = Path(__file__).parents[2] / "serving" / "openapi.json"


def test_the_description_in_the_repository_is_the_applications() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(describe()))


def test_every_operation_names_its_key_and_its_errors() -> None:
    for path, operations in describe()["paths"].items():
        for method, operation in operations.items():
            public = path in ("/healthz", "/readyz", "/v1/session") and method in ("get", "post")
            assert public or operation["security"] == [{"key": []}], (method, path)
            assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), (method, path)
