"""`convert` killed with -9 at random moments and continued: are the shards those of an undisturbed run?

python -m benchmarks.convert_kills [--runs 20] [--method lk] [--grid 4] [--workers 2] [--videos 12] [--seed 0]

Each run is a fresh training set. It is killed one to three times, and the same command given again until it
has ended by itself. What is killed:

- parent: the command's own process; its workers must follow it;
- worker: one of its workers; the command must go on by itself;
- writer: the process that writes a shard, when the unfinished file has reached a random size, or as soon as
  the archive is in its place and its index is not.

All wait for a random number of finished shards first, the others then for a random time. With one worker the
command has no other process, and all three are the same one.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.clips import write_clip
from model.datasets.folder import TEMPORARY_PREFIX, DataFolder
from model.datasets.shards import SHARDS, ShardIndex
from model.datasets.summary import DatasetSummary

VICTIMS = ("parent", "worker", "writer")
LOOK_SECONDS = 0.0005
LONGEST_RUN = 300.0


@dataclass(frozen=True)
class Usual:
    """What an undisturbed run takes and gives: seconds, shards, and bytes of a shard."""

    seconds: float
    shards: int
    shard_bytes: float


@dataclass(frozen=True)
class Kill:
    """What was killed, when (seconds from the command's start), and how many shards were finished then."""

    victim: str
    seconds: float
    shards: int


@dataclass(frozen=True)
class Command:
    """`convert` with some inputs and options."""

    inputs: Sequence[Path]
    options: Sequence[str]

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Start it in a process of its own, silently."""
        command = [sys.executable, "-m", "model", "convert", *map(str, self.inputs), "--out", str(out)]
        return subprocess.Popen([*command, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, out: Path) -> Usual:
        """Run it to its end. Raises RuntimeError when it fails."""
        begin = time.monotonic()
        with self.start(out) as process:
            _, said = process.communicate(timeout=LONGEST_RUN)
        if process.returncode != 0:
            raise RuntimeError(f"convert ended with {process.returncode}: {said.decode()[-2000:]}")
        archives = list((out / SHARDS).glob("*.tar"))
        size = sum(path.stat().st_size for path in archives) / len(archives)
        return Usual(time.monotonic() - begin, len(archives), size)

    def kill(self, out: Path, victim: str, chance: random.Random, usual: Usual) -> Kill | None:
        """Start it and kill -9 a part of it; None when it had ended before.

        A killed worker leaves the command alive; it is then waited for, and must succeed.
        """
        begin = time.monotonic()
        with self.start(out) as process:
            target = _wait(_moments(out, victim, chance, usual, process.pid), process)
            workers = _workers(process.pid)
            kill = Kill(victim, time.monotonic() - begin, _finished(out))
            killed = target is not None and _kill(target)
            _, said = process.communicate(timeout=LONGEST_RUN)
            if target != process.pid and process.returncode != 0:
                raise RuntimeError(f"convert did not go on without its worker: {said.decode()[-2000:]}")
        _, alive = psutil.wait_procs(workers, timeout=10)
        if alive:
            raise RuntimeError(f"{len(alive)} workers live on")
        return kill if killed else None


def _kill(process: int) -> bool:
    """Kill -9 a process; False when it has ended just before."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def killed_and_continued(
    command: Command, out: Path, victims: Iterable[str], chance: random.Random, usual: Usual
) -> list[Kill]:
    """Kill the command once for each victim, one after the other, then let it finish."""
    kills = [command.kill(out, victim, chance, usual) for victim in victims]
    command.finish(out)
    return [kill for kill in kills if kill is not None]


def content(out: Path) -> dict[str, str]:
    """The sha256 of everything in a set that must not depend on how it came about, by the files' names."""
    names = [*sorted((out / SHARDS).iterdir()), out / "dataset.json", out / "errors.jsonl"]
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in names
        if path.is_file()
    }


def keys(out: Path) -> Counter[str]:
    """How often each sample is in a set."""
    folder = DataFolder.open(out)
    return Counter(
        entry.key
        for shard in DatasetSummary.load(folder).shards
        for entry in ShardIndex.load(folder, shard.name).samples
    )


def main() -> None:
    """Kill and compare, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--method", default="lk")
    parser.add_argument("--grid", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=64, help="of each video")
    parser.add_argument("--shard-samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "videos").mkdir()
        for number in range(arguments.videos):
            write_clip(folder / "videos" / f"{number}.mp4", arguments.frames + number, seed=number)
        options = {
            "--method": arguments.method,
            "--grid": arguments.grid,
            "--workers": arguments.workers,
            "--shard-samples": arguments.shard_samples,
            "--threads": 1,
            "--device": "cpu",
        }
        command = Command([folder / "videos"], [text for pair in options.items() for text in map(str, pair)])
        sys.exit(0 if compare(command, folder, arguments.runs, arguments.seed) else 1)


def compare(command: Command, folder: Path, runs: int, seed: int) -> bool:
    """Print a line for each killed run and one for all; return whether all were as the undisturbed run."""
    print(" ".join(command.options))
    usual = command.finish(folder / "undisturbed")
    expected, samples = content(folder / "undisturbed"), keys(folder / "undisturbed")
    print(f"undisturbed: {usual.seconds:.1f} s, {usual.shards} shards, {samples.total()} samples", flush=True)
    counts: Counter[str] = Counter()
    for number in range(seed, seed + runs):
        chance = random.Random(number)
        victims = chance.choices(VICTIMS, k=chance.randint(1, 3))
        out = folder / f"run-{number}"
        kills = killed_and_continued(command, out, victims, chance, usual)
        is_same, found = content(out) == expected, keys(out)
        counts.update(kill.victim for kill in kills)
        counts["identical"] += is_same
        counts["lost"] += (samples - found).total()
        counts["doubled"] += (found - samples).total()
        counts["leftovers"] += len(list(out.rglob(f"{TEMPORARY_PREFIX}*")))
        told = ", ".join(f"{kill.victim} at {kill.seconds:.2f} s with {kill.shards} shards" for kill in kills)
        print(
            f"seed {number}: {told or 'ended first'}: {'identical' if is_same else 'DIFFERENT'}", flush=True
        )
        shutil.rmtree(out)
    print(_summary(runs, counts), flush=True)
    return counts["identical"] == runs and not counts["leftovers"]


def _summary(runs: int, counts: Mapping[str, int]) -> str:
    total = sum(counts[victim] for victim in VICTIMS)
    parts = ", ".join(f"{counts[victim]} {victim}" for victim in VICTIMS)
    return (
        f"{runs} runs with {total} kills ({parts}): {counts['identical']} identical to the undisturbed run, "
        f"{counts['lost']} samples lost, {counts['doubled']} doubled, {counts['leftovers']} temporary files "
        "left"
    )


def _finished(out: Path) -> int:
    return len(list((out / SHARDS).glob("*.json")))


def _workers(parent: int) -> list[psutil.Process]:
    """The processes that convert for a command; Python's resource tracker is none of them."""
    try:
        children = psutil.Process(parent).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _wait(moments: Iterator[int | None], process: subprocess.Popen[bytes]) -> int | None:
    """Wait until there is a process to kill and return it; None when the command has ended."""
    begin = time.monotonic()
    while process.poll() is None:
        target = next(moments)
        if target is not None:
            return target
        if time.monotonic() - begin > LONGEST_RUN:
            raise RuntimeError("convert does not end")
        time.sleep(LOOK_SECONDS)
    return None


def _moments(
    out: Path, victim: str, chance: random.Random, usual: Usual, parent: int
) -> Iterator[int | None]:
    """Give None until the moment to kill has come, then the process to kill."""
    done = _finished(out)
    wanted = done + chance.randrange(max(1, usual.shards - done))
    while _finished(out) < wanted:
        yield None
    if victim == "writer":
        yield from _writing(out, chance, usual)
    end = time.monotonic() + chance.uniform(0, 0.3 if wanted > done else usual.seconds / 2)
    while time.monotonic() < end:
        yield None
    workers = _workers(parent) if victim == "worker" else []
    yield chance.choice(workers).pid if workers else parent


def _writing(out: Path, chance: random.Random, usual: Usual) -> Iterator[int | None]:
    """Wait for the moment at which a shard is being written, and name the process that writes it."""
    until_named = chance.random() < 0.5
    size = chance.random() * usual.shard_bytes
    writers: dict[int, int] = {}  # processes by the inodes of the files that they write
    while True:
        yield None
        there = _files(out / SHARDS)
        for name, status in there.items():
            if name.startswith(TEMPORARY_PREFIX):
                writers[status.st_ino] = int(name.rsplit("-", 2)[1])
                if not until_named and status.st_size >= size:
                    yield writers[status.st_ino]
            elif until_named and f"{name[:-4]}.json" not in there and status.st_ino in writers:
                yield writers[status.st_ino]


def _files(folder: Path) -> dict[str, os.stat_result]:
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                found[path.name] = path.stat()
    return found


if __name__ == "__main__":
    main()
