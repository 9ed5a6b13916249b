"""Names and tags of clips and runs, and a bin that both can be taken back from."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("name", sa.String(255), nullable=False, server_default=""))
    for table in ("clips", "runs"):
        op.add_column(table, sa.Column("tags", sa.Text, nullable=False, server_default=""))
        op.add_column(table, sa.Column("deleted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    # What is in the bin is there again: an earlier version cannot take it back.
    for table in ("runs", "clips"):
        op.drop_column(table, "deleted_at")
        op.drop_column(table, "tags")
    op.drop_column("runs", "name")
