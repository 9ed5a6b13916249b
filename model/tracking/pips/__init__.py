"""PIPs (Persistent Independent Particles; Harley, Fang and Fragkiadaki, ECCV 2022), for inference."""
