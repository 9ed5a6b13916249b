"""Synthetic clips: layers of textures that move in known ways."""
