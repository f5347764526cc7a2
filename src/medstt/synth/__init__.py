"""Sentences from the lexicon, spoken by synthesisers."""
