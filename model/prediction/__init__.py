"""Saying from a single image how its points will move."""
