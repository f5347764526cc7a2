from __future__ import annotations

from pathlib import Path

import pytest

from medstt.errors import OptionError
from medstt.service import Settings, describe_settings, read_settings

SERVING = Path(__file__).parents[1] / "serving"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("MEDSTT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEDSTT_HOME", str(tmp_path))


def test_the_settings_file_lists_every_setting() -> None:
    assert (SERVING / "medstt.toml").read_text(encoding="utf-8") == describe_settings()
    assert all(f"# {name} = " in describe_settings() for name in Settings.model_fields)


def test_the_settings_file_without_its_comment_signs_gives_the_defaults(tmp_path: Path) -> None:
    lines = describe_settings().splitlines()
    values = [
        line.removeprefix("# ") for line in lines if " = " in line and line.split(" = ")[0][2:] in Settings.model_fields
    ]
    values = [line for line in values if not line.endswith('= ""')]
    file = tmp_path / "all.toml"
    file.write_text("\n".join(values), encoding="utf-8")
    assert read_settings(file) == Settings()


def test_given_before_environment_before_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "medstt.toml").write_text('port = 1111\nmodel = "file"\nworkers = 3\n', encoding="utf-8")
    monkeypatch.setenv("MEDSTT_MODEL", "environment")
    settings = read_settings(workers=5, host=None)
    assert (settings.port, settings.model, settings.workers, settings.host) == (1111, "environment", 5, "127.0.0.1")


def test_the_case_of_a_variable_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "medstt.toml").write_text("port = 1111\nworkers = 3\n", encoding="utf-8")
    monkeypatch.setenv("medstt_port", "2222")
    assert (read_settings().port, read_settings().workers, Settings().port) == (2222, 3, 2222)
    monkeypatch.setenv("medstt_prot", "1")
    with pytest.raises(OptionError, match="MEDSTT_PROT"):
        read_settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "prot"),
        ("port = 70000", "port"),
        ('port = "x"', "port"),
        ("port = ", "TOML"),
        ("lease_s = 0", "lease_s"),
    ],
)
def test_bad_settings_are_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=named):
        read_settings(file)


def test_unknown_variables_and_missing_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")
    monkeypatch.setenv("MEDSTT_PROT", "1")
    with pytest.raises(OptionError, match="MEDSTT_PROT"):
        read_settings()
