"""The API under /api/v1: its resources, their schemas, and how errors are told."""
