"""Measuring trackers on clips with true tracks: running them, and the table and JSON of the results."""
