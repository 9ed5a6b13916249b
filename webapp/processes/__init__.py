"""The supervisor, which starts and looks after the processes, and the worker."""
