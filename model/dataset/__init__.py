"""Making and reading training data."""
