"""The commands of `tapwire-core`, each a thin shell around its use case."""
