"""The broker: its client, and its list of device logins."""
