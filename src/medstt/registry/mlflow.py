"""Runs and model versions mirrored to MLflow: a SQLite file by default, any tracking server by its URI.

The directory of versions is the truth; nothing here is needed to serve, and what could not be mirrored is mirrored by
the next call. mlflow is imported when something is written. Knows nothing of training but the form of a run's folder.
"""

from __future__ import annotations

import json
import math
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from medstt.disk import write_atomically
from medstt.errors import DataError, ModelUnavailable, StoreUnavailable
from medstt.registry.store import ModelStore, RegisteredModel

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "medstt"
RECORD = "mlflow.json"  # in a run's folder: where it is recorded
DIGEST_TAG = "medstt.digest"
LABEL_TAG = "medstt.label"
ANSWER_S = 5.0
LONGEST_VALUE = 500  # characters of a parameter that every server takes
BATCH = 500  # metrics in one request; servers refuse more than 1000
_NOT_IN_KEYS = re.compile(r"[^\w./ :-]")


def default_uri(home: Path) -> str:
    """Return the URI of the SQLite file below ``home``."""
    return f"sqlite:///{home / 'mlflow.db'}"


def check_reachable(uri: str) -> None:
    """Raise StoreUnavailable if a tracking server does not answer (mlflow itself would try for minutes)."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        parts = urlsplit(uri)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + "/health")
        with urllib.request.urlopen(address.geturl(), timeout=ANSWER_S):  # without the user: this page needs none
            pass
    except urllib.error.HTTPError:
        return  # it answers; a proxy may know no such page
    except (OSError, ValueError) as error:
        raise _unavailable(uri, error) from error


@contextmanager
def open_client(uri: str) -> Iterator[MlflowClient]:
    """Yield a client; whatever mlflow or its database raises becomes StoreUnavailable.

    A new SQLite file is initialised first, which takes seconds. Raises ModelUnavailable where mlflow is not installed.
    """
    check_reachable(uri)
    try:
        with warnings.catch_warnings():  # its models warn of deprecated options of the database library
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise ModelUnavailable("mlflow is not installed", "Install medstt[train]") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _unavailable(uri, error) from error


def _unavailable(uri: str, error: Exception) -> StoreUnavailable:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return StoreUnavailable(
        f"MLflow at {without_password(uri)} cannot be written: {reason}",
        "Everything stands locally; `medstt models mirror` mirrors it later",
    )


def without_password(uri: str) -> str:
    """Return a URI that may be shown."""
    return re.sub(r"//([^/@:]*):[^/@]*@", r"//\1:***@", uri)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested tables as ``a.b`` -> text, the form of MLflow's parameters."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def record_run(run: Path, uri: str) -> str:
    """Record a finished run's recipe, digests and every report of its log; returns MLflow's run id.

    Reads ``result.json`` and ``log.jsonl``. A run recorded at the same URI before is not recorded again. Raises
    DataError where ``run`` is no finished run, StoreUnavailable.
    """
    result = _read_result(run)
    written = run / RECORD
    if written.exists():
        known = json.loads(written.read_text(encoding="utf-8"))
        if known.get("uri") == uri and known.get("digest") == result.get("digest"):
            return str(known["run_id"])
    with open_client(uri) as client:
        from mlflow.entities import Metric, Param

        tags = {key: flatten({key: result[key]})[key] for key in ("recipe", "parent", "version", "digest")
                if result.get(key)}  # fmt: skip
        created = client.create_run(_experiment(client), run_name=run.name, tags=tags)
        run_id = str(created.info.run_id)
        params = {**flatten(result.get("recipe_values", {})), "data": json.dumps(result.get("data", []))}
        rows = [Param(_key(key), value[:LONGEST_VALUE]) for key, value in params.items()]
        for start in range(0, len(rows), 100):
            client.log_batch(run_id, params=rows[start : start + 100])
        metrics = [Metric(_key(name), value, 0, step) for name, value, step in read_metrics(run / "log.jsonl")]
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + BATCH])
        client.set_terminated(run_id)
    write_atomically(written, json.dumps({"uri": uri, "run_id": run_id, "digest": result.get("digest")}) + "\n")
    return run_id


def _read_result(run: Path) -> dict[str, Any]:
    try:
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{run} is no finished run: {error}", "Finish it with `medstt train`") from error
    assert isinstance(result, dict)
    return result


def read_metrics(log: Path) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of every finite figure of a run's log; of a step reported twice the last."""
    found: dict[tuple[str, int], float] = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off by a kill
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                found[name, int(row["step"])] = float(value)
    return [(name, value, step) for (name, step), value in found.items()]


def mirror_version(model: RegisteredModel, uri: str) -> bool:
    """Mirror one version with its lineage, and its name's aliases; false if it was there already."""
    with open_client(uri) as client:
        if not client.search_registered_models(f"name='{model.name}'"):
            client.create_registered_model(model.name, description=model.card.summary or None)
        known = {version.tags.get(DIGEST_TAG): version.version for version in _mirrored(client, model.name)}
        new = model.digest not in known
        if new:
            made = client.create_model_version(
                model.name, model.path.absolute().as_uri(), tags=version_tags(model), description=model.label
            )
            known[model.digest] = made.version
        for alias in model.aliases:
            client.set_registered_model_alias(model.name, alias, known[model.digest])
    return new


def version_tags(model: RegisteredModel) -> dict[str, str]:
    """Return what a mirrored version says of its lineage."""
    card = model.card
    tags = {"parent": card.parent, "recipe": card.recipe, "vocab": card.vocab, "code": card.code, "report": card.report}
    lineage = {f"medstt.{key}": value for key, value in tags.items() if value}
    return {
        DIGEST_TAG: model.digest, LABEL_TAG: model.label, **lineage,
        "medstt.data": json.dumps(list(card.data)), "medstt.metrics": json.dumps(dict(card.metrics)),
    }  # fmt: skip


def mirror(store: ModelStore, runs: Path, uri: str) -> tuple[list[str], list[str]]:
    """Mirror what is not mirrored yet: finished runs below ``runs`` and every version; returns both lists of names.

    Safe to repeat; what a failure leaves out is done by the next call. Raises StoreUnavailable.
    """
    recorded = []
    for run in sorted(log.parent for log in runs.glob("*/log.jsonl") if (log.parent / "result.json").exists()):
        before = _recorded_id(run)
        if record_run(run, uri) != before:
            recorded.append(run.name)
    return recorded, [model.label for model in store.models() if mirror_version(model, uri)]


def _recorded_id(run: Path) -> str | None:
    path = run / RECORD
    return str(json.loads(path.read_text(encoding="utf-8"))["run_id"]) if path.exists() else None


def _mirrored(client: MlflowClient, name: str) -> list[Any]:
    return list(client.search_model_versions(f"name='{name}'", max_results=10_000))


def _experiment(client: MlflowClient) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT))


def _key(name: str) -> str:
    return _NOT_IN_KEYS.sub("_", name)
