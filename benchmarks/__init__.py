"""Measurements as ratios against stated baselines; never part of the product."""
