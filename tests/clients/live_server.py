"""Starts the built `elodex serve` on a free loopback port and stops it again."""

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "crates/elodex-testkit/golden"
READY_WITHIN_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    key: str
    log: pathlib.Path
    pid: int
    seconds_to_ready: float


class LiveServer:
    """`with LiveServer(arguments, log, key) as server:` runs `elodex serve` with these arguments."""

    def __init__(self, arguments, log, key):
        self.arguments = [str(argument) for argument in arguments]
        self.log = pathlib.Path(log).resolve()
        self.key = key
        self.process = None

    def __enter__(self):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with self.log.open("wb") as log:
            command = [binary(), "serve", "--listen", f"127.0.0.1:{port}", *self.arguments]
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.log.parent, env=self.environment()
            )
        try:
            self.wait_until_ready(url)
        except BaseException:
            self.__exit__()
            raise
        return Server(url, self.key, self.log, self.process.pid, time.monotonic() - started)

    def environment(self):
        """Ours, with nothing of the user's: neither settings nor a file nor keys nor collections."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ELODEX_")}
        data = self.log.with_suffix(".data")
        shutil.rmtree(data, ignore_errors=True)
        return kept | {"XDG_CONFIG_HOME": str(self.log.parent), "XDG_DATA_HOME": str(data)}

    def wait_until_ready(self, url):
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"elodex serve ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                with urllib.request.urlopen(f"{url}/ready", timeout=5):
                    return
            except OSError:
                # Not listening yet, or 503 while the models load.
                pass
            time.sleep(0.02)
        raise RuntimeError(f"elodex serve was not ready after {READY_WITHIN_SECONDS} s:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"elodex serve did not stop when asked to:\n{self.log.read_text()}") from None


def binary():
    """The binary under test: `ELODEX_BINARY`, else the debug build."""
    path = pathlib.Path(os.environ.get("ELODEX_BINARY", ROOT / "target/debug/elodex")).resolve()
    if not path.is_file():
        raise RuntimeError(f"{path} is not there; build it with `cargo build --package elodex`")
    return str(path)


def embedder():
    """all-MiniLM-L6-v2: `ELODEX_EMBEDDER`, else where `cargo xtask fetch-model` puts it."""
    path = pathlib.Path(os.environ.get("ELODEX_EMBEDDER", ROOT / "target/models/all-MiniLM-L6-v2")).resolve()
    if not path.is_dir():
        raise RuntimeError(f"{path} is not there; fetch it with `cargo xtask fetch-model`")
    return path


def golden(name):
    """A tiny model with random weights from the test kit."""
    path = GOLDEN / name / "model"
    if not path.is_dir():
        raise RuntimeError(f"{path} is not there; the test kit should carry it")
    return path


def scratch():
    """A folder for logs and downloads, outside what git sees."""
    return pathlib.Path(os.environ.get("ELODEX_SCRATCH", ROOT / "target/clients")).resolve()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
