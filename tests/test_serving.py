"""The files operators use: image, compose file, alert rules and kept results fit the program they belong to."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from medstt.service import Settings
from medstt.work.metric import Metrics

ROOT = Path(__file__).parents[1]
SERVING = ROOT / "serving"


def read(name: str) -> Any:
    return yaml.safe_load((SERVING / name).read_text(encoding="utf-8"))


def test_the_image_copies_everything_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "constraints.txt", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {name for line in re.findall(r"^COPY (?!--)(.+)$", steps, re.MULTILINE) for name in line.split()[:-1]}
    assert [name for name in sorted(needed) if name.partition("/")[0] not in copied] == []


def test_compose_sets_only_what_is_a_setting_and_keeps_the_root_read_only() -> None:
    services = read("compose.yaml")["services"]
    known = {f"MEDSTT_{name.upper()}" for name in Settings.model_fields}
    ours = [one for one in services.values() if one.get("image") == "medstt"]
    assert len(ours) == 3
    for one in ours:
        assert set(one.get("environment", {})) <= known
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]


def test_alerts_ask_only_for_metrics_that_exist() -> None:
    metrics = Metrics()
    for name in ("medstt_dictations", "medstt_model_bytes"):  # read by the application at each scrape
        metrics.watch(name, "x", "x", dict)
    exposed = set(re.findall(r"# TYPE (\S+)", metrics.render().decode()))
    rules = [rule for group in read("alerts.yaml")["groups"] for rule in group["rules"]]
    for rule in rules:
        named = re.findall(r"medstt_[a-z_]+", rule["expr"])
        assert {re.sub("_bucket$", "", name) for name in named} <= exposed, rule["alert"]
        assert {"summary", "action"} <= rule["annotations"].keys()
    assert read("prometheus.yaml")["rule_files"] == ["alerts.yaml"]


def test_every_kept_result_says_when_how_and_that_it_passed() -> None:
    folder = SERVING / "results"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix == ".md":  # figures, without a verdict of their own
            lines = path.read_text(encoding="utf-8").splitlines()
            assert re.match(r"\d{4}-\d\d-\d\d, ", lines[2]), path
            assert "| command |" in "\n".join(lines), path
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["date"]), path
        assert found["command"], path
        assert found["outcome"] == "passed", f"{path}: a failed run is to be understood, not kept"
