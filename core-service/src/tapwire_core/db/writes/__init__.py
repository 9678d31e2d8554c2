"""What transactions do, by noun: plain functions on a `Store` that lock, read and record."""
