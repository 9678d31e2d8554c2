"""The half of the kit that plays the core against a tap node."""
