"""Check the recorded digests of the shipped benchmarks, or record them anew: `python -m medstt.evaluate [--record]`."""

from __future__ import annotations

import sys

from medstt.evaluate.benchmark import (
    Place,
    builtin_benchmark_folder,
    digest_plans,
    read_benchmark,
    record_digests,
    shipped_benchmarks,
)
from medstt.synth.vocabulary import build_vocabularies


def main(arguments: list[str]) -> int:
    """Print each spoken set's digest and whether it is the recorded one; 1 if one is not."""
    folder = builtin_benchmark_folder()
    vocabularies = build_vocabularies()
    changed = 0
    for path in shipped_benchmarks():
        benchmark = read_benchmark(path)
        digests = digest_plans(benchmark, Place(folder, folder), vocabularies)
        for part in benchmark.sets:
            if part.name in digests and part.digest != digests[part.name]:
                changed += 1
                print(f"{benchmark.name}: {part.name}: {digests[part.name]}, recorded {part.digest or 'none'}")
        if "--record" in arguments:
            record_digests(path, digests)
    if changed and "--record" in arguments:
        print("recorded; raise the version of a benchmark that was in use")
        return 0
    return min(changed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
