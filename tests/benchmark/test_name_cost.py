"""What a list of names costs a model that was never trained: measured, not assumed."""

from __future__ import annotations

from medstt.benchmark.names import measure_stock


def test_lists_are_timed_against_none() -> None:
    none, some = measure_stock("mini", (0, 2_000), repeat=1)
    assert (none.terms, none.compile_s, none.size_mb, none.switch_ms) == (0, 0.0, 0.0, 0.0)
    assert some.terms == 2_000
    assert none.cpu_s > 0
    assert some.cpu_s > 0
    assert some.compile_s > 0
    assert 0 < some.size_mb < 6  # 30 MB for ten thousand
    assert some.switch_ms < 1
