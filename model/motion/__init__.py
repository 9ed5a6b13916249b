"""What a result is: tracks, predictions, and the grid of query points."""
