"""Training PIPs on synthetic clips."""
