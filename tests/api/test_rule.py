from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from medstt.api import problem
from medstt.api.admit import GuardedRoute
from medstt.api.rule import EVERYONE, PERMISSIONS, PUBLIC, RULES, SIGNED_IN
from medstt.errors import MedsttError

NOBODYS = "0" * 32


def table(app: FastAPI) -> set[tuple[str, str]]:
    """Return every method and path that the application routes; a route that is not behind the door fails."""
    found = set()
    for route in walk(app.router.routes):
        assert isinstance(route, GuardedRoute), f"{route} goes past the door"
        found |= {(method, route.path_format) for method in route.methods}
    return found


def walk(routes: list[Any]) -> Iterator[Any]:
    for route in routes:
        nested = getattr(route, "original_router", None)  # how newer versions of the framework keep included routers
        if nested is None:
            yield route
            continue
        assert route.include_context.prefix == "", "paths in the rules would lack it"
        yield from walk(nested.routes)


def test_every_route_has_a_rule_and_every_rule_a_route(live: Any) -> None:
    assert table(live.app) == set(RULES)
    assert set(RULES.values()) <= {PUBLIC, SIGNED_IN, *PERMISSIONS}
    assert all(set(roles) <= set(EVERYONE) for roles in PERMISSIONS.values())


def test_a_new_route_without_a_rule_is_seen_and_closed_to_everybody() -> None:
    app = FastAPI(openapi_url=None)
    app.add_exception_handler(MedsttError, problem.medstt_error)
    guarded = APIRouter(route_class=GuardedRoute)
    guarded.add_api_route("/v1/new", lambda: "secret", methods=["GET"])
    app.include_router(guarded)
    assert table(app) - set(RULES) == {("GET", "/v1/new")}
    with TestClient(app) as http:
        assert http.get("/v1/new").status_code == 403
    app.add_api_route("/v1/open", lambda: "secret", methods=["GET"])
    with pytest.raises(AssertionError, match="past the door"):
        table(app)


def test_the_application_serves_nothing_but_these_routes(live: Any) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/static", "/v1", "/admin"):
        with live.http(None) as http:
            assert http.get(path).status_code == 404


def fill(path: str, dictation: str = NOBODYS) -> str:
    values = {"dictation": dictation, "layer": "site", "kind": "words", "key": "0" * 12, "name": "app.js"}
    return path.format(model="medstt-mini", **values)


def call(http: Any, method: str, path: str, dictation: str = NOBODYS) -> int:
    body = None if method in ("GET", "DELETE") else {}
    if path == "/v1/retention" and method == "PUT":
        body = {"days": None}
    with http.stream(method, fill(path, dictation), json=body, headers={"If-Match": '"99"'}) as answer:
        return int(answer.status_code)


@pytest.mark.parametrize("role", [None, *EVERYONE])
def test_each_role_can_do_what_its_rules_say_and_no_more(live: Any, tenant: str, role: str | None) -> None:
    live.key(tenant, "admin")
    key = None if role is None else live.key(tenant, role)
    with live.http(key) as http:
        for (method, path), rule in RULES.items():
            if (method, path) == ("DELETE", "/v1/session"):
                continue
            status = call(http, method, path)
            if rule == PUBLIC:
                expected = status not in (403,)
            elif role is None:
                expected = status == 401
            elif rule == SIGNED_IN or role in PERMISSIONS[rule]:
                expected = status not in (401, 500) and (status != 403 or path.startswith("/v1/vocabulary"))
            else:
                expected = status == 403
            assert expected, (role, method, path, status)


def test_scopes_narrow_a_role(live: Any, tenant: str) -> None:
    with live.http(live.key(tenant, "clinician", scopes=["dictations.read"])) as http:
        assert http.get("/v1/dictations").status_code == 200
        assert http.post("/v1/dictations").status_code == 403
        assert http.get("/v1/models").status_code == 403
        assert http.get("/v1/me").json()["permissions"] == ["dictations.read"]


def test_another_tenants_dictation_does_not_exist(live: Any, ready: Any, tenant: str) -> None:
    mine = ready(patient="P-1")
    with live.http(live.key(f"{tenant}-other")) as http:
        for method, path in RULES:
            if "{dictation}" not in path:
                continue
            extra = {"params": {"format": "txt"}} if path.endswith("/export") else {}
            body = {"text": "x"} if path.endswith("/corrections") else {"reason": "because"}
            sent = {"json": body} if method == "POST" else {}
            answer = http.request(method, fill(path, mine), headers={"If-Match": '"2"'}, **extra, **sent)
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.json()["code"] == "not_found"
        assert http.get("/v1/dictations").json()["items"] == []
        assert http.get("/v1/dictations", params={"patient": "P-1"}).json()["items"] == []
        assert http.get("/v1/audit", params={"subject": mine}).json()["items"] == []


def test_another_tenants_keys_and_lists_do_not_exist(live: Any, http: Any, tenant: str) -> None:
    named = {name for _, path in RULES for name in re.findall(r"{(\w+)}", path)}
    assert named == {"dictation", "key", "layer", "kind", "model", "name"}, "a new kind of id needs a test here"
    mine = live.key(tenant, "typist").split("_")[1]
    entries = [{"term": "Zubrolex", "kind": "drug", "language": "en"}]
    list_path = "/v1/vocabulary/site/words"
    assert http.put(list_path, json={"entries": entries}, headers={"If-Match": '"0"'}).status_code == 200
    with live.http(live.key(f"{tenant}-other")) as other:
        for method, path in RULES:
            if "{key}" in path:
                assert other.request(method, path.format(key=mine)).status_code == 404, (method, path)
        assert mine not in other.get("/v1/keys").text
        assert other.get(list_path).json()["version"] == 0
        assert other.put("/v1/retention", json={"days": 1}).status_code == 200
    assert [one["revoked_ms"] for one in http.get("/v1/keys").json() if one["id"] == mine] == [None]
    assert http.get(list_path).json()["version"] == 1
    assert http.get("/v1/retention").json()["days"] is None


def test_wrong_expired_and_revoked_keys_get_the_same_answer(live: Any, tenant: str) -> None:
    good = live.key(tenant)
    revoked = live.key(tenant)
    live.service.store.keys.revoke(tenant, revoked.split("_")[1], "test")
    expired = live.key(tenant, days=1e-9)
    for key in ("nonsense", good[:-2], revoked, expired, "medstt_" + "0" * 12 + "_" + "A" * 43):
        with live.http(key) as http:
            answer = http.get("/v1/dictations")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"
    with live.http(None) as http:
        assert http.get("/v1/dictations", headers={"Authorization": f"Basic {good}"}).status_code == 401
        assert http.get("/v1/models").json()["error"]["type"] == "authentication_error"
