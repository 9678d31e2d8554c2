"""Reads for people and programs, by noun: frozen structs, paged lists."""
