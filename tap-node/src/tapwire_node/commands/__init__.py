"""What a person types at the node, besides `run` and `journal`."""
