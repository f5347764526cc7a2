"""`medstt vocab` from the outside, and the README's five minutes step by step."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from medstt.cli.vocab import app
from medstt.vocab import builtin_vocab_folder

README = builtin_vocab_folder() / "README.md"
run = CliRunner().invoke


def site(folder: Path, rows: str) -> Path:
    table = folder / "site" / "en" / "a.tsv"
    table.parent.mkdir(parents=True)
    table.write_text(f"term\tkind\tcode\tsource\n{rows}", encoding="utf-8")
    return folder / "site"


def test_check_says_where_and_fails(tmp_path: Path) -> None:
    folder = site(tmp_path, "foolol\tdrug\tnonsense\tsite\n")
    result = run(app, ["check", "--layer", str(folder), "--no-builtin"])
    assert result.exit_code == 1
    assert re.search(r"a\.tsv:2: error: code: ", result.output)
    result = run(app, ["check", "--layer", str(folder), "--no-builtin", "--json"])
    assert json.loads(result.stdout.splitlines()[0])["line"] == 2


def test_check_is_clean_on_the_shipped_tables() -> None:
    result = run(app, ["check", "--strict"])
    assert (result.exit_code, result.stdout) == (0, "")


def test_search_shows_look_alikes() -> None:
    result = run(app, ["search", "celebrecks", "--language", "en"])
    assert result.exit_code == 0
    assert "Celebrex" in result.stdout
    assert "Cerebyx" in result.stdout
    assert run(app, ["search", "qqqqqqqqqqqqq"]).exit_code == 1


def test_diff_and_export(tmp_path: Path) -> None:
    folder = site(tmp_path, "foolol\tdrug\tC07AB02\tsite\n-metoprolol\tdrug\t\tsite\nbisoprolol\tdrug\tC07AB99\tsite\n")
    result = run(app, ["diff", str(folder), "--language", "en"])
    assert "+ en drug foolol" in result.stdout
    assert "- en drug metoprolol" in result.stdout
    assert "~ en drug bisoprolol  code: 'C07AB07' -> 'C07AB99'" in result.stdout
    out = tmp_path / "en" / "all.tsv"
    result = run(app, ["export", "--out", str(out), "--layer", str(folder), "--language", "en", "--kind", "drug"])
    assert result.exit_code == 0
    exported = out.read_text(encoding="utf-8")
    assert "\nfoolol\t" in exported
    assert "\nmetoprolol\t" not in exported
    names = tmp_path / "names.txt"
    assert run(app, ["export", "--out", str(names), "--kind", "unit", "--language", "de"]).exit_code == 0
    assert "mmHg" in names.read_text(encoding="utf-8").splitlines()


def test_import_writes_a_table(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Zeta\nAlpha\n", encoding="utf-8")
    out = tmp_path / "de" / "w.tsv"
    result = run(app, ["import", "words", str(words), "--language", "de", "--kind", "name", "--out", str(out)])
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in out.read_text(encoding="utf-8").splitlines()] == ["term", "Alpha", "Zeta"]


def test_wrong_options_are_named(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Zeta\n", encoding="utf-8")
    for arguments, says in (
        (["snomed", str(words)], "format 'snomed' is unknown"),
        (["words", str(words)], "must be named"),
        (["words", str(words), "--language", "fr"], "language 'fr' is unknown"),
        (["words", str(words), "--language", "de", "--kind", "x"], "kind 'x' is unknown"),
        (["formulary", str(words), "--language", "de", "--column", "term"], "is no mapping"),
    ):
        result = run(app, ["import", *arguments, "--out", str(tmp_path / "o.tsv")])
        assert says in str(result.exception)


def test_the_readme_works_as_written(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    files = re.findall(r"```(?:tsv|toml) (\S+)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in files] == [
        "site/de/terms.tsv",
        "site/de/twins.tsv",
        "site/de/removed.tsv",
        "site/texts.toml",
    ]
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "dictated.txt").write_text("course insert normal heart plan discharge tomorrow", encoding="utf-8")
    (commands,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    outputs = {}
    for line in commands.strip().splitlines():
        arguments = shlex.split(line)
        result = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert result.returncode == 0, (line, result.stdout, result.stderr)
        outputs[" ".join(arguments[1:3])] = result.stdout
    assert outputs["vocab check"] == ""
    assert "+ de brand Bisoprolol STADA" in outputs["vocab diff"]
    assert "- de anatomy Balken" in outputs["vocab diff"]
    assert "Bisoprolol STADA" in outputs["vocab search"]
    assert "Heart sounds are normal, no murmur." in outputs["format --language"]
    assert "Course" in outputs["format --language"]
