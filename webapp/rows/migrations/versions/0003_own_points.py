"""Runs of points of one's own choice, followed from any frame, forwards or backwards."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.alter_column("grid", existing_type=sa.Integer, nullable=True)
        runs.add_column(sa.Column("points", sa.JSON))
        runs.add_column(sa.Column("query_frame", sa.Integer))


def downgrade() -> None:
    # An earlier version shows the tracks of such a run as they are, whatever it says of the grid.
    op.execute("UPDATE runs SET grid = 1 WHERE grid IS NULL")
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("query_frame")
        runs.drop_column("points")
        runs.alter_column("grid", existing_type=sa.Integer, nullable=False)
