"""Make demo as a newcomer meets it."""
