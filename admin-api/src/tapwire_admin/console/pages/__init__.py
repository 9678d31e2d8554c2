"""The console's pages, one file a noun: a handler calls views or one use case, and shows a template."""
