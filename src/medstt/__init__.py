"""Transfer-learning speech-to-text for medical dictation."""

__version__ = "0.1.0"
