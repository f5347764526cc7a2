"""Routes of keys, audit and retention. Knows nothing of dictations."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from medstt.api import schema
from medstt.api.admit import CallerOf, GuardedRoute, ServiceOf
from medstt.api.rule import PERMISSIONS
from medstt.errors import OptionError

router = APIRouter(prefix="/v1", tags=["administration"], route_class=GuardedRoute)

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]


@router.get("/keys", response_model=list[schema.KeyView])
def list_keys(caller: CallerOf, service: ServiceOf) -> list[schema.KeyView]:
    """List the tenant's keys without secrets."""
    return [
        schema.KeyView(
            id=one.key,
            person=one.person,
            department=one.department,
            role=one.role,
            scopes=None if one.scopes is None else list(one.scopes),
            created_ms=one.created_ms,
            expires_ms=one.expires_ms,
            revoked_ms=one.revoked_ms,
        )
        for one in service.store.keys.list(caller.tenant)
    ]


@router.post("/keys", status_code=201, response_model=schema.IssuedKey)
def issue_key(body: schema.KeyBody, caller: CallerOf, service: ServiceOf) -> schema.IssuedKey:
    """Issue a key of this tenant; the answer is the only place where its secret is seen."""
    unknown = [scope for scope in body.scopes or () if scope not in PERMISSIONS]
    if unknown:
        raise OptionError(f"unknown scope {unknown[0][:60]!r}", f"Use any of {', '.join(PERMISSIONS)}.")
    key = service.store.keys.issue(
        caller.tenant,
        body.person,
        body.role,
        department=body.department,
        scopes=body.scopes,
        days=body.days,
        actor=caller.person,
    )
    return schema.IssuedKey(key=key)


@router.post("/keys/{key}/rotate", status_code=201, response_model=schema.IssuedKey)
def rotate_key(key: KeyId, caller: CallerOf, service: ServiceOf) -> schema.IssuedKey:
    """Replace a key by a new one with the same rights; the old one ends at once."""
    return schema.IssuedKey(key=service.store.keys.rotate(caller.tenant, key, caller.person))


@router.delete("/keys/{key}", status_code=204)
def revoke_key(key: KeyId, caller: CallerOf, service: ServiceOf) -> Response:
    """Revoke a key and end its sessions."""
    service.store.keys.revoke(caller.tenant, key, caller.person)
    return Response(status_code=204)


@router.get("/audit", response_model=schema.AuditPage)
def read_audit(
    caller: CallerOf,
    service: ServiceOf,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    subject: schema.Plain | None = None,
) -> schema.AuditPage:
    """Return entries of the tenant's audit numbered above ``after``, oldest first."""
    entries = service.store.audit.entries(caller.tenant, after=after, limit=limit, subject=subject)
    return schema.AuditPage(
        items=[
            schema.AuditView(
                number=one.number,
                at_ms=one.at_ms,
                actor=one.actor,
                action=one.action,
                subject=one.subject,
                detail=json.loads(one.detail),
            )
            for one in entries
        ]
    )


@router.get("/audit/verification", response_model=schema.VerdictView)
def verify_audit(
    caller: CallerOf,
    service: ServiceOf,
    head: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="A head noted earlier.")] = None,
) -> schema.VerdictView:
    """Check the tenant's whole chain."""
    verdict = service.store.audit.verify(caller.tenant, head)
    return schema.VerdictView(entries=verdict.entries, head=verdict.head, problem=verdict.problem)


@router.get("/retention", response_model=schema.RetentionBody)
def read_retention(caller: CallerOf, service: ServiceOf) -> schema.RetentionBody:
    """Return after how many days dictations are erased."""
    return schema.RetentionBody(days=service.store.keys.tenants().get(caller.tenant))


@router.put("/retention", response_model=schema.RetentionBody)
def write_retention(body: schema.RetentionBody, caller: CallerOf, service: ServiceOf) -> schema.RetentionBody:
    """Set after how many days dictations are erased; null keeps them."""
    service.store.keys.set_retention(caller.tenant, body.days, caller.person)
    return body
