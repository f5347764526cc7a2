"""Transcripts and documents as files: one module per format, one table of them."""

from __future__ import annotations

from medstt.export.table import FORMATS, check_formats, render

__all__ = ["FORMATS", "check_formats", "render"]
