"""REST routes, one file a noun: each handler declares its `access` and calls one use case or one view."""
