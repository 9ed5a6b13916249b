"""Clips whose motion is known: moving textured layers, warps, photometric changes."""
