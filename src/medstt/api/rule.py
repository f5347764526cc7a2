"""Who may do what: permissions by role, and the rule of every route. A route without a rule is closed.

Knows nothing of how a caller is recognised.
"""

from __future__ import annotations

from medstt.errors import AccessError
from medstt.store.key import Caller

PUBLIC = "public"
SIGNED_IN = "signed-in"  # any valid key

EVERYONE = ("clinician", "typist", "reviewer", "integrator", "admin")
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "transcribe": ("clinician", "typist", "integrator", "admin"),
    "models.read": EVERYONE,
    "dictations.create": ("clinician", "typist", "integrator", "admin"),
    "dictations.read": EVERYONE,
    "dictations.correct": ("clinician", "typist", "reviewer", "admin"),
    "dictations.sign": ("clinician", "admin"),
    "dictations.reopen": ("clinician", "reviewer", "admin"),
    "dictations.export": EVERYONE,
    "dictations.delete": ("admin",),
    "vocabulary.read": EVERYONE,
    "vocabulary.write": ("clinician", "typist", "reviewer", "admin"),
    "vocabulary.write.shared": ("reviewer", "admin"),
    "keys.manage": ("admin",),
    "audit.read": ("admin",),
    "retention.manage": ("admin",),
    "metrics.read": ("integrator", "admin"),
}

RULES: dict[tuple[str, str], str] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): "metrics.read",
    ("GET", "/"): PUBLIC,  # without a session: the sign-in form only
    ("GET", "/page/{name}"): PUBLIC,  # the program of the page, no data
    ("POST", "/v1/session"): PUBLIC,  # takes a key
    ("DELETE", "/v1/session"): SIGNED_IN,
    ("GET", "/v1/me"): SIGNED_IN,
    ("POST", "/v1/audio/transcriptions"): "transcribe",
    ("GET", "/v1/models"): "models.read",
    ("GET", "/v1/models/{model}"): "models.read",
    ("POST", "/v1/dictations"): "dictations.create",
    ("GET", "/v1/dictations"): "dictations.read",
    ("GET", "/v1/dictations/{dictation}"): "dictations.read",
    ("DELETE", "/v1/dictations/{dictation}"): "dictations.delete",
    ("GET", "/v1/dictations/{dictation}/events"): "dictations.read",
    ("GET", "/v1/dictations/{dictation}/audio"): "dictations.read",
    ("GET", "/v1/dictations/{dictation}/transcript"): "dictations.read",
    ("GET", "/v1/dictations/{dictation}/document"): "dictations.read",
    ("GET", "/v1/dictations/{dictation}/corrections"): "dictations.read",
    ("POST", "/v1/dictations/{dictation}/corrections"): "dictations.correct",
    ("POST", "/v1/dictations/{dictation}/sign"): "dictations.sign",
    ("POST", "/v1/dictations/{dictation}/reopen"): "dictations.reopen",
    ("POST", "/v1/dictations/{dictation}/retry"): "dictations.create",
    ("GET", "/v1/dictations/{dictation}/export"): "dictations.export",
    ("GET", "/v1/vocabulary/{layer}/{kind}"): "vocabulary.read",
    ("PUT", "/v1/vocabulary/{layer}/{kind}"): "vocabulary.write",
    ("GET", "/v1/keys"): "keys.manage",
    ("POST", "/v1/keys"): "keys.manage",
    ("POST", "/v1/keys/{key}/rotate"): "keys.manage",
    ("DELETE", "/v1/keys/{key}"): "keys.manage",
    ("GET", "/v1/audit"): "audit.read",
    ("GET", "/v1/audit/verification"): "audit.read",
    ("GET", "/v1/retention"): "retention.manage",
    ("PUT", "/v1/retention"): "retention.manage",
}


def allowed(caller: Caller, permission: str) -> bool:
    """Say whether a caller's role and scopes grant a permission."""
    if permission in (PUBLIC, SIGNED_IN):
        return True
    if caller.role not in PERMISSIONS[permission]:
        return False
    return caller.scopes is None or permission in caller.scopes


def require(caller: Caller, permission: str) -> None:
    """Raise AccessError unless the caller has the permission."""
    if not allowed(caller, permission):
        raise AccessError(f"this key may not do that ({permission})", "Use a key with that role and scope.")
