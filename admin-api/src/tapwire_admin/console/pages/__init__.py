"""The pages, one file a subject: a handler reads what it needs, calls one use case or some views, and shows a template."""
