from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from medstt.cli.app import COMMANDS
from medstt.cli.reference import describe_commands

ROOT = Path(__file__).parents[2]


def test_the_documented_command_line_is_the_real_one() -> None:
    remedy = "run: python -m medstt.cli.reference > docs/cli.md"
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == describe_commands(), remedy


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys; from medstt.cli.app import main; sys.argv = ['medstt', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'numpy', 'scipy', 'av', 'onnxruntime', 'torch', 'pydantic', 'rich'}), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert result.stderr.strip() == "[]"


def test_transcribing_loads_no_training_or_web_package(tiny_model: Path, home: Path) -> None:
    speech = Path(__file__).parents[1] / "data" / "speech" / "chest_pain.flac"
    code = (
        "import sys, medstt\n"
        "print(medstt.transcribe(sys.argv[1], model=sys.argv[2]).duration_ms)\n"
        "heavy = {'torch', 'transformers', 'fastapi', 'mlflow', 'kfp', 'ray', 'sqlalchemy', 'datasets', 'librosa'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))"
    )
    command = [sys.executable, "-c", code, str(speech), str(tiny_model)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:2] == ["6370", "[]"]
