"""The commands of `tapwire-core`: each parses arguments and calls its use case."""
