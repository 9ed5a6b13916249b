"""Training predictors on training sets."""
