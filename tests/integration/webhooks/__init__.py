"""Webhooks: what happens is told outside."""
