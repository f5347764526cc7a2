"""The peers get the same weights, decode the number of tokens they are told, and their costs end up in the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medstt.benchmark.ct2 import convert_ct2
from medstt.benchmark.measure import Case, Cost, invented_speech, measure
from medstt.benchmark.model import RandomShape, find_shape, write_random_model
from medstt.benchmark.replica import measure_replicas
from medstt.benchmark.system import PEERS, is_installed, open_system
from medstt.benchmark.table import describe_machine, format_costs
from medstt.cli.benchmark import app
from medstt.engine.checkpoint import open_checkpoint
from medstt.engine.onnx import open_onnx
from medstt.engine.search import Rules, begin, search
from medstt.engine.token import TokenTable
from medstt.errors import MedsttError, OptionError
from medstt.feature import log_mel

NAMES = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model"), RandomShape(64, 2, 2, 2, 80, 2_000, 3))


def test_ctranslate2_gets_the_same_weights(folder: Path, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    checkpoint = open_checkpoint(folder)
    convert_ct2(checkpoint, tmp_path / "ct2", "float32")
    whisper = ctranslate2.models.Whisper(str(tmp_path / "ct2"), compute_type="float32", intra_threads=1)
    features = log_mel(invented_speech(2.0))
    found = whisper.generate(
        ctranslate2.StorageView.from_array(features[None]), [NAMES], beam_size=1, max_length=20, suppress_tokens=[],
        suppress_blank=False,
    )  # fmt: skip
    table = TokenTable(checkpoint)
    backend = open_onnx(checkpoint, cache=None, threads=1, precision="float32")
    memory = backend.encode([features])
    prompt = np.array([[table.start, *table.prompt("en")]])
    rules = Rules(table.end, table.nothing, table.nothing, False)
    begun = begin(backend, memory, prompt, rules)
    (ours,) = search(backend, memory, begun.cache, begun.first, rules, beams=1, limits=[10], biases=[None])
    assert found[0].sequences_ids[0] == list(ours[0].tokens)


@pytest.mark.parametrize("name", ["medstt", "medstt at 30 s", "medstt float32", "ctranslate2", "faster-whisper"])
@pytest.mark.parametrize("beam", [1, 3])
def test_every_system_decodes_the_tokens_it_is_told(folder: Path, tmp_path: Path, name: str, beam: int) -> None:
    if name in PEERS and not is_installed(name):
        pytest.skip(f"{name} is not installed")
    run = open_system(name, folder, tmp_path)
    assert run(invented_speech(1.0), 8, beam) == 8


def test_a_dictation_is_decoded_in_phrases(folder: Path, tmp_path: Path) -> None:
    assert open_system("medstt", folder, tmp_path)(invented_speech(40.0), 25, 1) == 25


def test_whisper_cpp_reads_our_ggml_file(tmp_path: Path) -> None:
    pytest.importorskip("pywhispercpp", reason="pywhispercpp is not installed")
    folder = write_random_model(tmp_path / "model", RandomShape(64, 2, 2, 2, 80, 51_865))
    assert open_system("whisper.cpp", folder, tmp_path)(invented_speech(1.0), 8, 1) == 8


def test_costs_are_measured_and_tabled(folder: Path, tmp_path: Path) -> None:
    cases = [Case("short", 1.0, 5), Case("beams", 0.5, 4, 2)]
    costs = measure(folder, tmp_path, ["medstt"], cases, 1)
    assert [(cost.case, cost.tokens) for cost in costs] == [(cases[0], 5), (cases[1], 4)]
    assert all(cost.cpu_s > 0 and cost.wall_s > 0 and cost.peak_mb > 20 for cost in costs)
    with pytest.raises(MedsttError, match="medstt failed"):
        measure(tmp_path / "nothing", tmp_path, ["medstt"], cases, 1)


def test_pools_of_several_sizes_are_timed(folder: Path, tmp_path: Path) -> None:
    found = measure_replicas(folder, tmp_path, (1, 2), seconds=0.5, clips=3, repeat=1)
    assert [one.replicas for one in found] == [1, 2]
    assert all(one.clips_per_minute > 0 for one in found)


def test_the_table_gives_ratios_against_ours() -> None:
    case = Case("clip", 6.0, 20)
    table = format_costs([Cost("medstt", case, 0.1, 0.2, 90, 20), Cost("peer", case, 0.55, 0.6, 400, 20)], "medstt")
    assert table.splitlines()[-1] == "| clip | peer | 0.550 | 0.600 | 400 | 20 | 5.50 |"
    assert "onnxruntime" in describe_machine()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="shape 'huge'"):
        find_shape("huge")
    for wrong in (["--peers", "nobody"], ["--cases", "hour"]):
        result = CliRunner().invoke(app, ["speed", *wrong])
        assert isinstance(result.exception, OptionError)
