"""Clips, runs and jobs as rows of the database."""
