"""Costs as Markdown tables. Knows nothing of how they were measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medstt.benchmark.measure import Cost

_PACKAGES = ("onnxruntime", "ctranslate2", "faster-whisper", "pywhispercpp")


def describe_machine() -> str:
    """Return processor, cores and the versions of the runtimes, in one sentence."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return f"{_processor()}, {os.cpu_count()} cores, one thread each; {', '.join(found)}."


def format_costs(costs: Sequence[Cost], ours: str) -> str:
    """Return a Markdown table of the costs; the ratio says how many times the CPU of ``ours`` a system needs."""
    lines = [
        f"| case | system | CPU s | wall s | peak MB | tokens | CPU against {ours} |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    reference = {cost.case: cost.cpu_s for cost in costs if cost.system == ours}
    for cost in costs:
        ratio = cost.cpu_s / reference[cost.case] if cost.case in reference else float("nan")
        lines.append(
            f"| {cost.case.name} | {cost.system} | {cost.cpu_s:.3f} | {cost.wall_s:.3f} | {cost.peak_mb:.0f} "
            f"| {cost.tokens} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def _processor() -> str:
    """Return the processor's name where the system tells, with the vector instructions that matter for int8."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
    values = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(values.get("flags", "").split())
    best = next((name for name in ("avx512_vnni", "avx_vnni", "avx512f", "avx2") if name in flags), "no AVX2")
    return f"{values.get('model name', platform.machine())} ({best})"
