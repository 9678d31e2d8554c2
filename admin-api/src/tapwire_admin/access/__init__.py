"""Who may call what: guards, tokens and the console's cookies."""
