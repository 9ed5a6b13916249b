"""Settings, troubles of servers in a sentence each, and the list of removals: what every room uses."""
