"""Writes, by noun: functions on a `Store` that lock, read and record in one transaction."""
