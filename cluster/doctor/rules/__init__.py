"""The rules: a table of what can be wrong, in five files by subject."""
