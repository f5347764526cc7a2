"""A transcript or document written as a file of some format."""
