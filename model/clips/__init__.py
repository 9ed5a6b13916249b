"""Frames from any file: videos, GIFs, single images, folders and zips of images, within limits."""
