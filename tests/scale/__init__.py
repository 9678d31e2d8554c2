"""Measurements of size: thousands of taps, and millions of pours: `make scale`."""
