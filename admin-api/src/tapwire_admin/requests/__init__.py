"""What comes in: bodies, field types, parameters, idempotency keys, request ids."""
