"""A Redis server that a test starts, stops for a while and kills."""

import signal
import subprocess
from pathlib import Path

import redis

from tests.webapp.stack import wait_for
from webapp.processes.services import redis_command


class OwnRedis:
    """A Redis server that the test starts and kills."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = redis_command(folder, self.socket)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        client = redis.Redis.from_url(self.url)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

        wait_for(answers, 10)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
