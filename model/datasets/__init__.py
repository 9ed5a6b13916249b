"""Training sets on disk: shards of samples, their index, and the loader."""
