"""The routes, one file a noun: each handler declares who may call it (`access`), and calls one use case or one view."""
