"""Turning licensed terminologies and a hospital's own lists into vocabulary tables."""
