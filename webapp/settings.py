"""Every setting of the web app in one frozen object, read once from the environment."""

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_data_path

from model.core.errors import BadInput

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
"""The folder that holds webapp/ and model/."""

IS_INSTALLED = (PACKAGE / "static").is_dir()
FRONTEND = PACKAGE if IS_INSTALLED else ROOT
"""The folder that holds static/ and templates/: a wheel has them inside webapp/, a checkout beside it."""

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107, and Redis adds a little for its temporary name."""


def _from(variable: str, help_text: str) -> dict[str, str]:
    """Say which environment variable a setting comes from, and what it is for."""
    return {"variable": variable, "help": help_text}


@dataclass(frozen=True)
class Settings:
    """What the operator may choose. docs/settings.md lists the same for people."""

    host: str = dataclasses.field(
        default="127.0.0.1",
        metadata=_from("STILLMOTION_HOST", "Address to listen on; 0.0.0.0 for all interfaces."),
    )
    port: int = dataclasses.field(
        default=5000, metadata=_from("STILLMOTION_PORT", "Port to listen on, 1 to 65535.")
    )
    instance: Path = dataclasses.field(
        default=user_data_path("stillmotion") if IS_INSTALLED else ROOT / "instance",
        metadata=_from(
            "STILLMOTION_INSTANCE",
            "Folder for the database, clips, results, temporary files and the embedded Redis.",
        ),
    )
    redis_url: str | None = dataclasses.field(
        default=None,
        metadata=_from(
            "REDIS_URL", "Redis or Valkey server for the jobs; without it one is started in the instance."
        ),
    )
    database_url: str | None = dataclasses.field(
        default=None,
        metadata=_from(
            "DATABASE_URL", "SQLAlchemy URL of the database; without it an SQLite file in the instance."
        ),
    )
    storage_url: str | None = dataclasses.field(
        default=None,
        metadata=_from(
            "STORAGE_URL", "fsspec URL for clips and results, such as s3://bucket/folder; else the instance."
        ),
    )
    max_upload_bytes: int = dataclasses.field(
        default=2 * 1024**3,
        metadata=_from("STILLMOTION_MAX_UPLOAD_BYTES", "Largest upload in bytes, all its files together."),
    )
    pips_weights: str | None = dataclasses.field(
        default=None,
        metadata=_from("STILLMOTION_PIPS_WEIGHTS", "PIPs weights: a checkpoint file, or a registered name."),
    )
    predictor_weights: str | None = dataclasses.field(
        default=None,
        metadata=_from(
            "STILLMOTION_PREDICTOR_WEIGHTS",
            "Weights that predict from one image: a file of train-predictor, or a registered name.",
        ),
    )
    samples: Path = dataclasses.field(
        default=FRONTEND / "static" / "samples",
        metadata=_from("STILLMOTION_SAMPLES", "Folder of the sample clips that the start page offers."),
    )
    device: str = dataclasses.field(
        default="auto", metadata=_from("STILLMOTION_DEVICE", "Where networks run: auto, cpu, cuda or cuda:K.")
    )
    workers: int = dataclasses.field(
        default=1,
        metadata=_from("STILLMOTION_WORKERS", "Workers that `python -m webapp` starts; 0 for none."),
    )
    web_threads: int = dataclasses.field(
        default=8, metadata=_from("STILLMOTION_WEB_THREADS", "Requests that the web process serves at once.")
    )
    job_timeout: int = dataclasses.field(
        default=6 * 3600, metadata=_from("STILLMOTION_JOB_TIMEOUT", "Seconds after which a run is given up.")
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance", self.instance.expanduser().resolve())
        for name, smallest, largest in (
            ("port", 1, 65535),
            ("max_upload_bytes", 1, None),
            ("workers", 0, 256),
            ("web_threads", 1, 256),
            ("job_timeout", 1, None),
        ):
            value = getattr(self, name)
            if value < smallest or (largest is not None and value > largest):
                allowed = f"{smallest} to {largest}" if largest is not None else f"at least {smallest}"
                raise BadInput(f"{variable_of(name)} must be {allowed}, not {value}.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty variable counts as not set.

        Raises BadInput when a variable does not hold what its setting needs.
        """
        values: dict[str, Any] = {}
        for setting in dataclasses.fields(cls):
            text = environment.get(setting.metadata["variable"], "").strip()
            if not text:
                continue
            if setting.type is int:
                try:
                    values[setting.name] = int(text)
                except ValueError:
                    raise BadInput(
                        f"{setting.metadata['variable']} must be a whole number, not “{text}”."
                    ) from None
            else:
                values[setting.name] = Path(text) if setting.type is Path else text
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """Return the variables that make `from_environment` give these settings again."""
        variables = {}
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            variables[setting.metadata["variable"]] = "" if value is None else str(value)
        return variables

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the database in use."""
        return self.database_url or f"sqlite:///{self.instance / 'stillmotion.sqlite3'}"

    @property
    def storage(self) -> str:
        """Path or fsspec URL of the storage in use."""
        return self.storage_url or str(self.instance / "storage")

    @property
    def redis(self) -> str:
        """URL of the Redis in use."""
        return self.redis_url or f"unix://{quote(str(self.redis_socket))}"

    @property
    def redis_folder(self) -> Path:
        """Where the embedded Redis keeps its files."""
        return self.instance / "redis"

    @property
    def redis_socket(self) -> Path:
        """Unix socket of the embedded Redis: in the instance, or in a short path where that is too long."""
        inside = self.redis_folder / "redis.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.instance)).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(runtime) / f"stillmotion-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def datasets(self) -> Path:
        """Where training sets lie that the app shows, each in a folder of its own."""
        return self.instance / "datasets"

    @property
    def temporary_folder(self) -> Path:
        """Where uploads and results are written before they are whole."""
        return self.instance / "tmp"


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    fields = {setting.name: setting for setting in dataclasses.fields(Settings)}
    return str(fields[name].metadata["variable"])
