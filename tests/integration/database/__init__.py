"""The database: schema, functions, constraints, connections."""
