"""The web app: pages and an API over model/, with runs in a queue."""
