"""Tracks drawn over frames: an interactive Plotly figure, one HTML file, an MP4 or a GIF."""
