"""The tap node as people and the core meet it."""
