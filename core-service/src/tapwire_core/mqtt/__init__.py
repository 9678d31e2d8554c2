"""The core's MQTT interface for tap nodes: one listener, one handler for each payload, one publisher."""
