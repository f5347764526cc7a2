"""Many recordings to files: what to read, where results go, what is already done, and the workers in between.

Knows nothing of terminals or of how models are found.
"""

from __future__ import annotations

from medstt.batch.inputs import Recording, find_recordings
from medstt.batch.run import Outcome, run_batch
from medstt.batch.work import Progress, WriteOptions

__all__ = ["Outcome", "Progress", "Recording", "WriteOptions", "find_recordings", "run_batch"]
