"""Engines: one file per backend behind one protocol."""
