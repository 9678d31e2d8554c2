"""What people and programs read, by noun: frozen structs, paged lists."""
