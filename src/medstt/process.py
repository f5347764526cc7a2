"""Worker processes that do not outlive their parent, not even one killed with -9.

Knows nothing of what the workers do.
"""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this worker as soon as its parent is gone; hand it to ProcessPoolExecutor as ``initializer``.

    A worker holds both ends of the pool's pipes, so that it would otherwise wait for work for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)  # finishing the shard would race with whoever resumes

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
