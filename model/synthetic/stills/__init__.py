"""Synthetic stills whose looks tell how their things will move."""
