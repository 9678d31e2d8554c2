"""Responses: problem documents, CSV tables, event streams."""
