"""Schemathesis over the whole description, with authentication, against the real server.

Generated calls are mixed with calls that are known to be good, so that every operation is also seen to succeed.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from medstt.api.app import describe
from medstt.client import Client

CURRENT = {"If-Match": "*"}


@dataclass
class Good:
    """Parts of calls that succeed; ids are made fresh where a call uses them up."""

    live: Any
    tenant: str
    wav: bytes
    client: Client
    ready: str

    def fresh(self, **fields: str) -> str:
        return self.client.wait(self.client.create(self.wav, **fields).id).id

    def unsigned(self) -> str:
        found = self.client.get(self.ready)
        if found.report_state != "preliminary":
            self.client.reopen(self.ready, found.version, "for the test")
        return self.ready

    def signed(self) -> str:
        found = self.client.get(self.ready)
        if found.report_state == "preliminary":
            self.client.sign(self.ready, found.version)
        return self.ready

    def key_id(self) -> str:
        return str(self.live.key(self.tenant, "typist").split("_")[1])

    def parts(self) -> dict[str, Callable[[], dict[str, Any]]]:
        def at(dictation: Callable[[], str], **rest: Any) -> Callable[[], dict[str, Any]]:
            return lambda: {"path_parameters": {"dictation": dictation()}, **rest}

        def known() -> str:
            return self.ready

        lists = {"path_parameters": {"layer": "site", "kind": "words"}, "query": {}}
        keys: Callable[[], dict[str, Any]] = lambda: {"path_parameters": {"key": self.key_id()}}  # noqa: E731
        one = "/v1/dictations/{dictation}"
        return {
            "POST /v1/session": lambda: {"body": {"key": self.live.key(self.tenant)}},
            "POST /v1/audio/transcriptions": lambda: {"body": {"file": self.wav, "model": "whisper-1"}},
            "GET /v1/models/{model}": lambda: {"path_parameters": {"model": self.live.settings.model}},
            "POST /v1/dictations": lambda: {"body": {"file": self.wav}, "headers": {}},
            "GET /v1/dictations": lambda: {"query": {"limit": 5}},
            f"GET {one}": at(known),
            f"DELETE {one}": at(self.fresh),
            f"GET {one}/events": at(known),
            f"GET {one}/audio": at(known, headers={}),
            f"GET {one}/transcript": at(known),
            f"GET {one}/document": at(known),
            f"GET {one}/corrections": at(known),
            f"POST {one}/corrections": at(self.unsigned, headers=CURRENT, body={"text": "Other text"}),
            f"POST {one}/sign": at(self.unsigned, headers=CURRENT),
            f"POST {one}/reopen": at(self.signed, headers=CURRENT, body={"reason": "a reason"}),
            f"POST {one}/retry": at(lambda: self.fresh(template="no-such-template")),
            f"GET {one}/export": at(known, query={"format": "txt"}),
            "GET /v1/vocabulary/{layer}/{kind}": lambda: lists,
            "PUT /v1/vocabulary/{layer}/{kind}": lambda: lists | {"headers": CURRENT, "body": {"entries": []}},
            "POST /v1/keys": lambda: {"body": {"person": "Dr. A", "role": "clinician"}},
            "POST /v1/keys/{key}/rotate": keys,
            "DELETE /v1/keys/{key}": keys,
            "GET /v1/audit": lambda: {"query": {"limit": 5}},
            "GET /v1/audit/verification": lambda: {"query": {}},
            "PUT /v1/retention": lambda: {"body": {"days": None}},
        }


def run(good: Good, calls: int) -> dict[str, Counter[int]]:
    """Call every operation; two of three calls are generated, the third is good."""
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        schemathesis.checks.not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    operations = [found.ok() for found in schemathesis.openapi.from_dict(describe()).get_all_operations()]
    varied = [one for one in operations if {"parameters", "requestBody"} & one.definition.raw.keys()]
    key = good.live.key(good.tenant)
    parts = good.parts()
    configured = settings(
        max_examples=max(3, math.ceil(1.05 * calls / len(varied))),  # the others have one call to make
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def exercise(operation: Any) -> Counter[int]:
        name = f"{operation.method.upper()} {operation.path}"
        counter: Counter[int] = Counter()
        numbers = itertools.count()

        def call(case: Any) -> None:
            if next(numbers) % 3 == 0:
                for part, value in parts.get(name, dict)().items():
                    setattr(case, part, value)
            elif "dictation" in (case.path_parameters or {}) and not name.startswith("DELETE"):
                case.path_parameters["dictation"] = good.ready
            answer = case.call(base_url=good.live.url, headers={"Authorization": f"Bearer {key}"})
            counter[answer.status_code] += 1
            case.validate_response(answer, checks=checks)

        configured(given(case=operation.as_strategy())(call))()
        return counter

    return {f"{one.method.upper()} {one.path}": exercise(one) for one in operations}


def report(seen: dict[str, Counter[int]]) -> dict[str, str]:
    """Return the share of successful calls by operation; fails on a server error or a share under a fifth."""
    shares = {}
    for name, statuses in seen.items():
        total, fine = sum(statuses.values()), sum(count for status, count in statuses.items() if status < 300)
        shares[name] = f"{fine / total:.0%} of {total}"
        print(f"{shares[name]:>12} succeeded  {name}  {dict(sorted(statuses.items()))}")
        assert not any(status >= 500 for status in statuses), name
        assert fine >= 0.2 * total, name
    return shares


@pytest.fixture
def good(live: Any, tenant: str, wav: bytes, client: Client, ready: Any) -> Good:
    return Good(live, tenant, wav, client, ready())


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(5000, marks=[pytest.mark.prove, pytest.mark.timeout(6 * 3600)]),
    ],
)
def test_generated_calls_meet_the_description(good: Good, record: Any, calls: int) -> None:
    with record("schemathesis") as found:
        found["asked_calls"] = calls
        seen = run(good, calls)
        found["calls"] = sum(sum(statuses.values()) for statuses in seen.values())
        statuses: Counter[int] = sum(seen.values(), Counter())
        found["statuses"] = {str(status): statuses[status] for status in sorted(statuses)}
        found["seed"] = "derandomised: the same calls in every run"
        found["succeeded"] = report(seen)
        assert found["calls"] >= calls
