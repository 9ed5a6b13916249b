"""Which version of Stillmotion this is."""

VERSION = "0.1.0"
"""As in the changelog; pyproject.toml reads it here."""
