"""The core as devices meet it, over MQTT."""
