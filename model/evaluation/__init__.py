"""How far off motion is: metrics, annotated clips, trackers and predictors measured."""
