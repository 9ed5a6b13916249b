"""One conversion on many machines: its tasks are jobs that any worker takes."""
