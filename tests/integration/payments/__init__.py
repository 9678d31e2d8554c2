"""Tests of payments at a provider."""
