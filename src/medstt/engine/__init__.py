"""Engines: one file per backend behind one protocol. Importing this loads no runtime."""

from medstt.engine.load import load_engine
from medstt.engine.pool import EnginePool

__all__ = ["EnginePool", "load_engine"]
