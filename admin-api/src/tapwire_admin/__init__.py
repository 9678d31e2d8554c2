"""The admin API: everything that an operator does, over REST. Handlers parse and render; what is done is the core's."""
