"""Optimistic locking over HTTP: a version as an entity tag, and the one that a change names by If-Match.

Knows nothing of what has versions.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from medstt.api.problem import MissingPrecondition
from medstt.errors import OptionError

IfMatch = Annotated[str | None, Header(alias="If-Match", description='The version the change is made on: "3".')]


def etag(version: int) -> str:
    """Return a version as an entity tag."""
    return f'"{version}"'


def version_of(if_match: str | None, current: int) -> int:
    """Return the version a caller names; raises MissingPrecondition, OptionError."""
    if if_match is None:
        raise MissingPrecondition("the header If-Match is missing", "Send the ETag of what you changed.")
    if if_match.strip() == "*":
        return current
    match = re.fullmatch(r'(?:W/)?"(\d{1,9})"', if_match.strip())
    if match is None:
        raise OptionError("If-Match is not one of our entity tags", 'Send it as it was given: "3".')
    return int(match[1])
