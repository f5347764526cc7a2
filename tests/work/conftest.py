"""A team's word lists on a database of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from medstt.store.audit import Audit
from medstt.store.crypt import create_ring
from medstt.store.database import Database
from medstt.store.key import Keys
from medstt.store.vocabulary import Vocabularies


@pytest.fixture
def lists(tmp_path: Path) -> Vocabularies:
    """Lists of a tenant "a" that is known."""
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    database.migrate()
    ring = create_ring()
    audit = Audit(database, ring)
    Keys(database, ring, audit).set_retention("a", None, "test")
    return Vocabularies(database, audit)
