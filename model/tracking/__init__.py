"""Following points through a clip: one Tracker, with PIPs, Lucas-Kanade and RAFT behind it."""
