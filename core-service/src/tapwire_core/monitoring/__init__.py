"""Metrics and health endpoints of a core worker."""
