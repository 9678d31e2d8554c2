"""The broker: connecting to it, and keeping its list of device logins."""
