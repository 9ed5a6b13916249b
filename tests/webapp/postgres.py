"""A Postgres of Debian's package, in a process of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.webapp.stack import free_port, wait_for

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
USER = "stillmotion"


class PostgresServer:
    """An empty database of the user “stillmotion”. url: for SQLAlchemy."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{USER}"
        # Postgres refuses to run as root, and its user may not enter pytest's folders.
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        shutil.chown(self._folder, self._user)
        self._do(
            "initdb", "--auth=trust", f"--username={USER}", "--no-sync", "-D", str(self._folder / "data")
        )
        options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(self._folder))
        with (self._folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self._folder / "data", "-p", str(self.port), *options],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        wait_for(self.is_ready)
        self._do("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, USER)

    def _do(self, program: str, *arguments: str) -> None:
        command = [PROGRAMS / program, *arguments]
        subprocess.run(command, user=self._user, cwd=self._folder, check=True, capture_output=True)

    def is_ready(self) -> bool:
        """Whether it answers, by compose.yaml's own question."""
        question = [PROGRAMS / "pg_isready", "-U", USER, "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(question, check=False, capture_output=True).returncode == 0

    def end(self) -> None:
        """End it, and remove what it kept."""
        self.process.send_signal(signal.SIGINT)  # which waits for no client, as SIGTERM would
        self.process.wait(20)
        shutil.rmtree(self._folder)
