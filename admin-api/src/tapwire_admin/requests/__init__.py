"""Requests: bodies, field types, parameters, idempotency keys, request ids."""
