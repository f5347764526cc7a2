"""What is counted: counts that add, rates over their sums, intervals, and errors that can harm, each on its own.

Knows nothing of models, runs or reports.
"""

from __future__ import annotations

from medstt.metrics.align import Alignment, Region, align
from medstt.metrics.count import ErrorCounts, char_errors, word_errors

__all__ = ["Alignment", "ErrorCounts", "Region", "align", "char_errors", "word_errors"]
