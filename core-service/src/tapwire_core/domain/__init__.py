"""The rules of Tapwire, pure: facts in, decisions out. No I/O, no clock, no randomness, no logging."""
