"""The half of the kit that plays tap nodes, honest and lying, against a core."""
