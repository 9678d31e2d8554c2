"""The admin API: all operator actions over REST, and the console. Handlers parse and render; use cases decide and write."""
