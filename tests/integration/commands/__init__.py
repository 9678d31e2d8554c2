"""The commands of operators of an installation."""
