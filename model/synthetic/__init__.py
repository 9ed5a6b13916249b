"""Clips and stills whose motion is known, since they are made here."""
