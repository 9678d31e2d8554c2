"""The commands for a person at the node, besides `run` and `journal`."""
