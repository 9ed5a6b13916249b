"""From videos to a training set: `python -m model convert`."""
