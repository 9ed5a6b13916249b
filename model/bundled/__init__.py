"""The weights that come with Stillmotion, each with its card; data only."""
