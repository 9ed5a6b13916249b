"""How many frames a run has tracked for good, so that a cancelled one keeps them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("tracked_frames", sa.Integer))


def downgrade() -> None:
    op.drop_column("runs", "tracked_frames")
