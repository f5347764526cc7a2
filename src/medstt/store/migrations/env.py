"""Alembic's entry: run the migrations on the connection the caller passes in."""

from __future__ import annotations

from alembic import context

from medstt.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=False,  # the caller owns the transaction
)
context.run_migrations()
