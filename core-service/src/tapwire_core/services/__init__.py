"""The use cases: async functions named by verbs, each one transaction. MQTT, REST, console and commands call the same ones."""
