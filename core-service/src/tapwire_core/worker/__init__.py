"""A core worker: the process that answers taps, and its periodic tasks."""
