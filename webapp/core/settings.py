"""Every setting of the web app in one frozen object, read once from the environment."""

import dataclasses
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote, urlsplit

from platformdirs import user_data_path

from model.core.errors import BadInput

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
"""The folder that holds webapp/ and model/."""

IS_INSTALLED = (PACKAGE / "static").is_dir()
FRONTEND = PACKAGE if IS_INSTALLED else ROOT
"""The folder that holds static/ and templates/: a wheel has them inside webapp/, a checkout beside it."""

INSTANCE = user_data_path("stillmotion") if IS_INSTALLED else ROOT / "instance"

QUEUE_WORDS = ("short", "long", "cpu", "gpu", "conversions")

SHORTEST_TOKEN = 16
"""Characters; a shorter one could be guessed."""

BALLAST_BYTES = 1024**2

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 107, and Redis adds a little for its temporary name."""


def _setting(variable: str, default: Any, smallest: int | None = None, largest: float = math.inf) -> Any:
    """Declare a setting and the environment variable that it comes from; of a number, what is allowed."""
    bounds = None if smallest is None else (smallest, largest)
    return dataclasses.field(default=default, metadata={"variable": variable, "bounds": bounds})


@dataclass(frozen=True)
class Settings:
    """What the operator may choose; docs/settings.md says what each is for."""

    host: str = _setting("STILLMOTION_HOST", "127.0.0.1")
    port: int = _setting("STILLMOTION_PORT", 5000, 1, 65535)
    instance: Path = _setting("STILLMOTION_INSTANCE", INSTANCE)  # noqa: RUF009 - frozen
    redis_url: str | None = _setting("REDIS_URL", None)
    database_url: str | None = _setting("DATABASE_URL", None)
    storage_url: str | None = _setting("STORAGE_URL", None)
    max_upload_bytes: int = _setting("STILLMOTION_MAX_UPLOAD_BYTES", 2 * 1024**3, 1)
    pips_weights: str | None = _setting("STILLMOTION_PIPS_WEIGHTS", None)
    predictor_weights: str | None = _setting("STILLMOTION_PREDICTOR_WEIGHTS", None)
    samples: Path = _setting("STILLMOTION_SAMPLES", FRONTEND / "static" / "samples")  # noqa: RUF009 - frozen
    device: str = _setting("STILLMOTION_DEVICE", "auto")
    workers: int = _setting("STILLMOTION_WORKERS", 1, 0, 256)
    web_threads: int = _setting("STILLMOTION_WEB_THREADS", 8, 1, 256)
    job_timeout: int = _setting("STILLMOTION_JOB_TIMEOUT", 6 * 3600, 1)
    short_workers: int = _setting("STILLMOTION_SHORT_WORKERS", 1, 0, 256)
    queues: str = _setting("STILLMOTION_QUEUES", "short,long,cpu,gpu,conversions")
    max_waiting: int = _setting("STILLMOTION_MAX_WAITING", 1000, 1)
    hosts: str | None = _setting("STILLMOTION_HOSTS", None)
    token: str | None = _setting("STILLMOTION_TOKEN", None)
    bin_days: int = _setting("STILLMOTION_BIN_DAYS", 30, 0, 36500)
    keep_days: int = _setting("STILLMOTION_KEEP_DAYS", 0, 0, 36500)
    reserve_bytes: int = _setting("STILLMOTION_RESERVE_BYTES", 512 * 1024**2, 0)
    quota_bytes: int = _setting("STILLMOTION_QUOTA_BYTES", 0, 0)
    is_open: int = _setting("STILLMOTION_OPEN", 0, 0, 1)
    proxies: int = _setting("STILLMOTION_PROXIES", 0, 0, 8)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance", self.instance.expanduser().resolve())
        variables = self._variables()
        for setting in dataclasses.fields(self):
            value, bounds = getattr(self, setting.name), setting.metadata["bounds"]
            if bounds is not None and not bounds[0] <= value <= bounds[1]:
                allowed = f"at least {bounds[0]}" if bounds[1] == math.inf else f"{bounds[0]} to {bounds[1]}"
                raise BadInput(f"{variables[setting.name]} must be {allowed}, not {value}.")
        unknown = self.queue_words - set(QUEUE_WORDS)
        if unknown:
            raise BadInput(
                f"{variables['queues']} must be some of {','.join(QUEUE_WORDS)}, not “{min(unknown)}”."
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise BadInput(f"{variables['token']} must have at least {SHORTEST_TOKEN} characters.")

    def make_instance(self) -> None:
        """Make the instance folder, for this user alone. Raises BadInput when that cannot be."""
        try:
            self.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.instance.stat().st_uid == os.getuid():
                self.instance.chmod(0o700)
            self.temporary_folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.temporary_folder):
                pass  # a folder of another user, or a disk that is read only, is noticed here
            if not self.ballast.exists() and shutil.disk_usage(self.instance).free > 2 * BALLAST_BYTES:
                self.ballast.write_bytes(bytes(BALLAST_BYTES))
        except OSError as error:
            raise BadInput(
                f"The folder {self.instance} cannot be used ({error.strerror}); set STILLMOTION_INSTANCE to "
                "another one."
            ) from error

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty variable counts as not set.

        Raises BadInput when a variable does not hold what its setting needs.
        """
        values: dict[str, Any] = {}
        types = get_type_hints(cls)
        for name, variable in cls._variables().items():
            text = environment.get(variable, "").strip()
            kind = types[name] if types[name] in (int, Path) else str
            try:
                if text:
                    values[name] = kind(text)
            except ValueError:
                raise BadInput(f"{variable} must be a whole number, not “{text}”.") from None
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """Return the variables that make `from_environment` give these settings again."""
        values = {variable: getattr(self, name) for name, variable in self._variables().items()}
        return {variable: "" if value is None else str(value) for variable, value in values.items()}

    @classmethod
    def _variables(cls) -> dict[str, str]:
        """The environment variable of each setting."""
        return {setting.name: setting.metadata["variable"] for setting in dataclasses.fields(cls)}

    @property
    def queue_words(self) -> set[str]:
        """What this machine's workers take: lengths and devices of runs, and conversions."""
        return {word.strip() for word in self.queues.split(",") if word.strip()}

    @property
    def host_names(self) -> list[str]:
        """The names under which the app answers besides those of this machine."""
        return [name.strip() for name in (self.hosts or "").split(",") if name.strip()]

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
    def weights(self) -> dict[str, str | None]:
        """The weights that are used where a run names none: of each kind a name or path, or None."""
        return {"pips": self.pips_weights, "predictor": self.predictor_weights}

    @property
    def datasets(self) -> Path:
        """Where training sets lie that the app shows, each in a folder of its own."""
        return self.instance / "datasets"

    @property
    def predictors(self) -> Path:
        """Where the predictors lie that were trained in the app, each in a folder of its own."""
        return self.instance / "predictors"

    @property
    def ballast(self) -> Path:
        """A file that is given up on a full disk, so that the database can note what is removed."""
        return self.instance / "ballast"

    @property
    def temporary_folder(self) -> Path:
        """Where uploads and results are written before they are whole."""
        return self.instance / "tmp"


def masked(url: str) -> str:
    """Return a URL without its password, for people and logs."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
