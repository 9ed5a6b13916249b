"""Runs as RQ jobs: the queue, the tasks, the workers, and who cleans up after lost ones."""
