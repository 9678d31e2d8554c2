"""What goes out: problem documents, CSV tables, event streams."""
