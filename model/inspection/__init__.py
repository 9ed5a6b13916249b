"""What a training set looks like: statistics, and drawings of them as a page and as pictures for papers."""
