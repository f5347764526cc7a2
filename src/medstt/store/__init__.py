"""Dictations, corrections, audit: SQLAlchemy on SQLite or PostgreSQL."""
