"""Text as words: the scoring normaliser and the dictation layer (spoken to written), one pack per language."""
