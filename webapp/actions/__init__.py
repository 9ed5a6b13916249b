"""What a request does, for pages and API alike: take clips in, start runs and jobs, search, name, remove."""
