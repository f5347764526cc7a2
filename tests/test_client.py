from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from medstt.client import Client
from medstt.errors import InputError, NotAuthenticated, ResourceError, StaleError


def answering(status: int, **content: object) -> Client:
    """A client whose server always answers the same."""
    transport = httpx.MockTransport(lambda request: httpx.Response(status, **content))  # type: ignore[arg-type]
    return Client("http://server", "key", transport=transport)


@pytest.mark.parametrize(
    ("status", "content", "kind", "text"),
    [
        (401, {"json": {"detail": "the API key is not valid. Ask."}}, NotAuthenticated, "not valid"),
        (412, {"json": {"detail": "changed"}}, StaleError, "changed"),
        (404, {"json": {"error": {"message": "no model"}}}, Exception, "no model"),
        (502, {"text": "<html>proxy</html>"}, ResourceError, "502"),
        (400, {"text": "odd"}, InputError, "400"),
    ],
)
def test_errors_are_the_librarys_own(status: int, content: dict[str, object], kind: type[Exception], text: str) -> None:
    with answering(status, **content) as client, pytest.raises(kind, match=text):
        client.models()


def test_a_server_that_is_not_there_is_a_resource_error() -> None:
    with Client("http://127.0.0.1:9", "key") as client:
        with pytest.raises(ResourceError, match="does not answer"):
            client.models()
        with pytest.raises(ResourceError):
            list(client.follow("0" * 32))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with answering(200) as client, pytest.raises(InputError, match=r"none\.wav"):
        client.transcribe(tmp_path / "none.wav")
