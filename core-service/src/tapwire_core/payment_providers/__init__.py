"""Payment providers: companies that take a guest's money on a page of theirs, and a page of ours that plays one."""
