"""Measuring predictors of motion on training sets' held-out samples: baselines, figures, one report."""
