"""How Alembic reaches the schema that ``records.migrate`` has opened; it is not run by itself."""

from __future__ import annotations

from alembic import context

from records.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
