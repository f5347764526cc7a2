from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from tiny_model import write_tiny_model

from medstt.errors import ResourceError, UnknownModel
from medstt.evaluate.item import items_of
from medstt.evaluate.replica import ReplicatedSystem, open_side_by_side
from medstt.evaluate.run import USAGE, create_run, transcribe_run
from medstt.evaluate.system import SystemOptions
from medstt.values import Utterance

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"


def test_processes_of_a_model_hear_what_it_hears_alone_and_one_that_ends_is_named(tmp_path: Path) -> None:
    options = SystemOptions(home=tmp_path / "home", vocabulary=())
    name = str(write_tiny_model(tmp_path / "tiny"))
    spans = [Utterance(f"u{n}", str(SPEECH), "x", "en", 300 * n, 300 * n + 1200) for n in range(6)]
    items = items_of(spans, tmp_path)
    system = open_side_by_side(name, options, 2)
    assert isinstance(system, ReplicatedSystem)
    alone, together = (create_run(tmp_path / part, system, items, {}) for part in ("alone", "together"))
    assert transcribe_run(alone, system) == 0
    assert transcribe_run(together, system, jobs=2) == 0
    texts = [{key: a.reply.text for key, a in run.answers().items() if a.reply} for run in (alone, together)]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 6
    usage = json.loads((together.folder / USAGE).read_text())
    assert usage["jobs"] == 2
    assert usage["peak_memory_mb"] > 20
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGKILL)
    stopped = create_run(tmp_path / "stopped", system, items, {})
    with pytest.raises(ResourceError, match="was ended"):
        transcribe_run(stopped, system, jobs=2)
    system.close()


def test_a_wrong_name_is_found_before_a_process_starts(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        open_side_by_side("no-such-model", SystemOptions(home=tmp_path), 2)
    assert not isinstance(open_side_by_side("command:echo {audio}", SystemOptions(), 2), ReplicatedSystem)
