"""The core's door for tap nodes: one listener, one handler for each payload, one publisher."""
