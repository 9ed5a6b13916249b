"""A local S3 server that tests can freeze and end."""

import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.webapp.stack import free_port, wait_for


class S3Server:
    """moto in a process of its own. environment: the variables with which s3:// is this server."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with (folder / "s3.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                stdout=log,
                stderr=log,
            )
        wait_for(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/moto-api/", timeout=1):
            return True
        return False

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)
