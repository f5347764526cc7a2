"""Model versions as directories: add, verify, alias, promote, roll back."""
