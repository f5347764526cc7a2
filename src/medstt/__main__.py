"""`python -m medstt` is the `medstt` program."""

from __future__ import annotations

from medstt.cli.app import main

if __name__ == "__main__":
    main()
