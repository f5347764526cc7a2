"""The repository's model loaded, used and unloaded in a process of its own: the memory goes back to the system."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from medstt.service import open_service, read_settings
from medstt.values import RATE_HZ, Audio
from medstt.work.process import Style, transcribe

service = open_service(read_settings(home=Path(sys.argv[1]), workers=0, model_idle_s=0.001))
time = np.arange(6 * RATE_HZ, dtype=np.float32)
hum = Audio((np.sin(time * 0.1) * (time % 9000 < 6000)).astype(np.float32), "", "hum")

def resident_mb():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

def cycle():
    with service.models.lease(service.model) as engine:
        names = service.listen(engine, Style("", "", "", "en"))
        transcribe(engine, names, hum, "en", lambda *_: None)
        loaded = resident_mb()
    del engine, names
    while service.models.loaded():
        service.models.tidy()
    return [loaded, resident_mb()]

print(json.dumps([cycle() for _ in range(4)]))
service.close()
"""


def test_an_idle_model_gives_its_memory_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    cycles = json.loads(done.stdout)
    print(cycles)
    _, rest = cycles[0]
    for loaded, unloaded in cycles[1:]:
        assert loaded - unloaded > 10, cycles  # the weights alone are more
        assert unloaded < rest + 10, cycles  # nothing stays, cycle after cycle
