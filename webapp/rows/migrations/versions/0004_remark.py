"""What is to be said of how a clip's pictures are shown."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clips", sa.Column("remark", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("clips", "remark")
