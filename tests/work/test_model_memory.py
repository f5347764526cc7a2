"""The repository's model loaded, used and unloaded in a process of its own: the memory goes back to the system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "samples" / "surgery-en.opus"
PROGRAM = """
import json, sys
from pathlib import Path
from medstt.audio import read_audio
from medstt.service import open_service, read_settings
from medstt.work.process import Style

service = open_service(read_settings(home=Path(sys.argv[1]), workers=0, model_idle_s=0.001, log_level="error"))
sound = read_audio(Path(sys.argv[2]))

def resident_mb():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

def cycle():
    with service.models.lease(service.model) as model:
        wanted = service.listen(model.capabilities, Style("", "", "", "en"))
        assert model.transcribe(sound, wanted, lambda *_: None).hypotheses
        loaded = resident_mb()
    del model, wanted
    while service.models.loaded():
        service.models.tidy()
    assert "cache/engines" not in Path("/proc/self/maps").read_text()
    return [loaded, resident_mb()]

print(json.dumps([cycle() for _ in range(4)]))
service.close()
"""


def test_an_idle_model_gives_its_memory_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(SAMPLE)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cycles = json.loads(done.stdout)
    print(cycles)
    _, rest = cycles[0]
    for loaded, unloaded in cycles[1:]:
        assert loaded - unloaded > 10, cycles  # weights and working memory
        assert unloaded < rest + 6, cycles  # nothing stays, cycle after cycle
