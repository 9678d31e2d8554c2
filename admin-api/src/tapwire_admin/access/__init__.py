"""Access control: guards, tokens and the console's cookies."""
