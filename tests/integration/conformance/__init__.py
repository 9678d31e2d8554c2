"""Tests of the conformance kit, and by it of our own core and node."""
