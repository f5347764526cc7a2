"""Settings, the only reader of the environment, and the composition root that wires the parts together.

Knows every floor below; no floor below knows it.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from medstt.errors import MedsttError, OptionError
from medstt.values import LANGUAGES, Language

if TYPE_CHECKING:  # heavy parts are imported when they are wired
    from medstt.engine.bias import NameLists
    from medstt.engine.protocol import Engine
    from medstt.listen import Vocabulary
    from medstt.transcriber import TranscribeOptions, Transcriber
    from medstt.work.log import Log
    from medstt.work.metric import Metrics
    from medstt.work.models import Models
    from medstt.work.service import Service, Store


def default_home() -> Path:
    """Return the user's data folder for medstt (nothing is created)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "medstt"


class Settings(BaseSettings):
    """Every setting with its default and meaning; ``MEDSTT_<NAME>`` in the environment overrides."""

    model_config = SettingsConfigDict(env_prefix="MEDSTT_", extra="forbid")

    home: Path = Field(default_factory=default_home, description="Folder that holds everything written.")
    model: str = Field("medstt-mini", description="Model used when none is named.")

    host: str = Field("127.0.0.1", description="Address to listen on; loopback only unless changed.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    database_url: str = Field("", description="sqlite:///PATH or postgresql://...; empty: HOME/medstt.db.")
    storage: Path | None = Field(None, description="Folder of encrypted audio and texts; unset: HOME/storage.")
    key_file: Path | None = Field(None, description="Settings key that wraps object keys; unset: HOME/keys/key.json.")
    mlflow_uri: str = Field("", description="MLflow tracking server or database; empty: HOME/mlflow.db.")
    tenant: str = Field("main", description="Tenant of the first admin key.")

    engine: Literal["onnx", "transformers", "fake"] = Field(
        "onnx", description="Backend that runs models; fake answers a fixed text, for load tests."
    )
    workers: int = Field(
        2, ge=0, le=64, description="Threads that work on dictations, best one more than replicas; 0: none."
    )
    replicas: int = Field(
        1, ge=1, le=64, description="Single-threaded engines per model; two or more run in processes of their own."
    )
    model_memory_mb: int = Field(8192, ge=16, description="Size of all models in memory, every replica counted.")
    model_idle_s: float = Field(900, gt=0, description="Unload a model that nobody used for so long.")
    preload: bool = Field(True, description="Load the model at start instead of at the first request.")
    poll_s: float = Field(0.5, gt=0, le=60, description="How often an idle worker looks for dictations.")
    drain_s: float = Field(30, ge=0, description="At shutdown, time for requests and dictations in hand to finish.")

    lease_s: float = Field(60, ge=1, description="A worker silent for so long loses its dictation to another.")
    attempts: int = Field(3, ge=1, le=100, description="Attempts before a dictation fails for good.")
    backoff_s: float = Field(2, gt=0, description="Wait before the second attempt; doubles with each.")
    backoff_max_s: float = Field(300, gt=0, description="Longest wait between attempts.")
    queue_limit: int = Field(100_000, ge=1, description="Waiting dictations above which new ones are refused (429).")

    max_upload_mb: int = Field(1024, ge=1, description="Largest upload in MB (413).")
    max_audio_minutes: int = Field(180, ge=1, description="Longest recording in minutes (413).")
    decoders: int = Field(2, ge=1, le=64, description="Processes that decode uploads.")
    decode_s: int = Field(120, ge=1, description="Time in which a recording must be decoded.")
    decode_memory_mb: int = Field(2048, ge=256, description="Address space of a decoding process.")

    requests_per_minute: int = Field(
        1200, ge=1, description="Requests per key and minute in each process: N replicas allow N times as many (429)."
    )
    failures_per_minute: int = Field(
        30, ge=1, description="Wrong keys per address and minute in each process, likewise (429)."
    )
    connections: int = Field(512, ge=1, description="Open connections per process; more are answered 503.")
    header_s: float = Field(10, gt=0, description="Time in which a request's headers must arrive.")
    body_s: float = Field(30, gt=0, description="Longest silence while a request's body arrives (408).")
    session_hours: float = Field(12, gt=0, description="How long a browser stays signed in.")
    secure_cookies: bool = Field(False, description="Send the page's cookie over HTTPS only; set it behind TLS.")

    purge_minutes: float = Field(60, gt=0, description="How often retention is applied and leftovers are removed.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    @property
    def database(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'medstt.db'}"

    @property
    def storage_folder(self) -> Path:
        """The folder of encrypted objects, with the default filled in."""
        return self.storage or self.home / "storage"

    @property
    def key_path(self) -> Path:
        """The file of the settings key, with the default filled in."""
        return self.key_file or self.home / "keys" / "key.json"


SETTINGS_FILE = "medstt.toml"
_PREFIX = "medstt_"


def _environment() -> dict[str, str]:
    """Return what the environment says by the settings' names; the case of its variables does not matter."""
    variables = {name.lower(): value for name, value in os.environ.items()}
    return {name.removeprefix(_PREFIX): value for name, value in variables.items() if name.startswith(_PREFIX)}


def read_settings(file: Path | None = None, **given: Any) -> Settings:
    """Read settings: ``given`` before the environment before the file (HOME/medstt.toml if there is one).

    Raises OptionError for an unknown key or environment variable, or a bad value, and names it.
    """
    environment = _environment()
    unknown = sorted(environment.keys() - Settings.model_fields.keys())
    if unknown:
        variable = (_PREFIX + unknown[0]).upper()
        raise OptionError(f"unknown setting {variable} in the environment", "See serving/medstt.toml for all.")
    values = {key: value for key, value in given.items() if value is not None}
    try:
        found = file or Settings(**_only_home(values)).home / SETTINGS_FILE
        if file is None and not found.exists():
            return Settings(**values)
        written = tomllib.loads(found.read_text(encoding="utf-8"))
        return Settings(**{key: value for key, value in written.items() if key not in environment} | values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise OptionError(f"setting {name}: {first['msg']}", "See serving/medstt.toml for all settings.") from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"settings file {found} is not TOML: {error}", "Correct that line.") from error
    except OSError as error:
        raise OptionError(
            f"settings file {found} cannot be read: {error.strerror}", "Check path and rights."
        ) from error


def _only_home(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key == "home"}


def describe_settings() -> str:
    """Return a settings file that lists every setting with its meaning and default, commented out."""
    lines = [
        "# Settings of medstt serve and medstt worker. Each line shows the default; remove the # to change it.",
        "# MEDSTT_NAME in the environment overrides NAME here. Unknown names are refused.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default is None else field.default
        shown = str(default).lower() if isinstance(default, bool) else default
        value = f'"{shown}"' if isinstance(shown, str) and not isinstance(default, bool) else str(shown)
        lines += [f"# {field.description}", f"# {name} = {value}", ""]
    return "\n".join(lines)


def open_transcriber(
    settings: Settings,
    *,
    model: str | None = None,
    language: str | None = None,
    replicas: int = 1,
    options: TranscribeOptions | None = None,
    vocabulary: Vocabulary = None,
) -> Transcriber:
    """Resolve a model by name, load it with so many single-threaded replicas and return its transcriber.

    ``language`` None detects it; it stands before the one in ``options``. ``vocabulary`` holds paths of tables,
    folders or plain lists, and terms as strings; None is the built-in vocabulary, an empty one none. Raises
    ModelError, VocabError, or OptionError for a language the model does not know.
    """
    from concurrent.futures import ThreadPoolExecutor

    from medstt.listen import open_vocabulary
    from medstt.transcriber import TranscribeOptions, Transcriber

    chosen = options or TranscribeOptions()
    if language is not None:
        chosen = replace(chosen, decode=replace(chosen.decode, language=language))
    spoken: Language | None = next((code for code in LANGUAGES if code == chosen.decode.language), None)
    with ThreadPoolExecutor(1) as pool:  # sessions open outside Python while the words are read
        loading = pool.submit(load_model, settings, model, replicas)
        lexicon, warnings = open_vocabulary(vocabulary, spoken)
        engine = loading.result()
    if lexicon is None:
        return Transcriber(engine, chosen)
    if vocabulary and not engine.capabilities.bias:
        raise OptionError(f"{engine.ref.name} runs on an engine without vocabulary bias", "Use the onnx engine")
    names = open_names(settings).open(engine, lexicon)
    return Transcriber(engine, chosen, names.bias, names.check, (*warnings, *names.warnings))


def load_model(settings: Settings, model: str | None = None, replicas: int = 1) -> Engine:
    """Resolve a model by name and load it; several replicas share the work of one call. Raises ModelError."""
    from medstt.engine import EnginePool, load_engine
    from medstt.registry import resolve_model

    found = resolve_model(model or settings.model, settings.home)
    cache = settings.home / "cache" / "engines"
    engine = load_engine(found.path, found.name, cache=cache, digest=found.digest)
    return engine if replicas == 1 else EnginePool([engine, *(engine.replicate() for _ in range(replicas - 1))])


def open_names(settings: Settings) -> NameLists:
    """Return what compiles vocabularies for models and keeps them; share one for many requests."""
    from medstt.engine.bias import NameLists
    from medstt.vocab import builtin_vocab_folder
    from medstt.vocab.command import dictation_commands

    return NameLists(settings.home / "cache" / "names", dictation_commands(builtin_vocab_folder()))


def open_settings_store(settings: Settings) -> Store:
    """Open what is kept, without models or workers; creates and migrates what is missing."""
    from medstt.store.queue import RetryPolicy
    from medstt.work.service import open_store

    policy = RetryPolicy(
        int(settings.lease_s * 1000),
        settings.attempts,
        int(settings.backoff_s * 1000),
        int(settings.backoff_max_s * 1000),
    )
    return open_store(settings.database, settings.storage_folder, settings.key_path, policy, settings.queue_limit)


def open_service(settings: Settings) -> Service:
    """Wire a service: store, decoding processes, models, writer, workers; nothing runs before its ``start``."""
    from medstt.work.listen import TeamNames
    from medstt.work.log import Log
    from medstt.work.metric import Metrics
    from medstt.work.process import Processor
    from medstt.work.sandbox import DecodeLimits, Sandbox
    from medstt.work.service import Service
    from medstt.work.team import TeamFormatters, TeamWriter
    from medstt.work.worker import Workers

    log, metrics = Log(settings.log_level), Metrics()
    store = open_settings_store(settings)
    limits = DecodeLimits(settings.decode_s, settings.decode_memory_mb << 20, settings.max_audio_minutes * 60_000)
    sandbox = Sandbox(settings.decoders, limits)
    models = _open_models(settings, log, metrics)
    formatters = TeamFormatters(store.vocabularies, settings.home / "cache" / "vocabulary")
    write, listen = TeamWriter(formatters), TeamNames(formatters)
    processor = Processor(store.objects, sandbox, models, settings.model, write, listen)
    workers = Workers(store.queue, processor, metrics, log, count=settings.workers, poll_s=settings.poll_s)
    return Service(
        store,
        sandbox,
        models,
        settings.model,
        write,
        listen,
        workers,
        metrics,
        log,
        settings.purge_minutes * 60,
        settings.drain_s,
    )


def _open_models(settings: Settings, log: Log, metrics: Metrics) -> Models:
    from functools import partial

    from medstt.registry import ResolvedModel, resolve_model
    from medstt.work.apart import Recognisers
    from medstt.work.models import Models
    from medstt.work.recognise import Recogniser, open_recogniser

    cache = settings.home / "cache"

    def resolve(name: str) -> ResolvedModel:
        if settings.engine == "fake":
            return ResolvedModel(settings.home / "fake", name, None, None)
        return resolve_model(name, settings.home)

    def load(model: ResolvedModel) -> Recogniser:
        opened = partial(open_recogniser, settings.engine, model.path, model.name, model.digest, cache)
        return opened() if settings.replicas == 1 else Recognisers(opened, settings.replicas)

    def report(event: str, model: str, error: MedsttError | None) -> None:
        metrics.models.labels(event.partition(".")[2]).inc()
        level = "error" if error else "info"
        log.event(event, level, model=model, code=error.code if error else None)

    return Models(
        resolve,
        load,
        settings.home / "models",
        budget_bytes=settings.model_memory_mb << 20,
        copies=settings.replicas,
        idle_s=settings.model_idle_s,
        report=report,
    )
