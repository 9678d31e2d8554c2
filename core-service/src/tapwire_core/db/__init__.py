"""All SQL of Tapwire. `tables` are the rows, `store` one transaction, `writes` its parts, `views` what people read."""
