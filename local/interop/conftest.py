"""The service with an S3 server over a folder, for programs that nobody here wrote."""

import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[2]
JAVA = pathlib.Path(__file__).parent / "java"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    """url of STOW-RS, and the bucket as a folder of files."""

    def __init__(self, binary: pathlib.Path, data: pathlib.Path):
        port, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.bucket = data / "s3" / "dicom"
        self.log = open(data / "log", "w+b")
        self.process = subprocess.Popen(
            [binary, "--data", data, "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}",
             "--s3-listen", f"127.0.0.1:{free_port()}", "--console-listen", ""],
            stdout=self.log, stderr=self.log,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5)
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    raise RuntimeError(self.log.read().decode())
                time.sleep(0.1)

    def objects(self) -> dict[str, bytes]:
        """Objects of the bucket, by key."""
        return {str(p.relative_to(self.bucket)): p.read_bytes() for p in self.bucket.rglob("*") if p.is_file()}

    def clear(self):
        for entry in self.bucket.iterdir():
            shutil.rmtree(entry)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=60) == 0
        self.log.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interop")
    binary = folder / "local"
    subprocess.run(["go", "build", "-o", binary, "."], cwd=ROOT / "local", check=True)
    service = Service(binary, folder)
    yield service
    service.stop()


@pytest.fixture
def service(running):
    running.clear()
    return running


@pytest.fixture(scope="session")
def samples() -> list[pathlib.Path]:
    return sorted((ROOT / "dcm-samples").glob("*.dcm"))


@pytest.fixture(scope="session")
def java(tmp_path_factory):
    """Runs java/Client.java with its arguments."""
    classes = tmp_path_factory.mktemp("classes")
    libraries = f"{JAVA}/build/*"
    subprocess.run(["javac", "-cp", libraries, "-d", classes, JAVA / "Client.java"], check=True)

    def run(*arguments) -> subprocess.CompletedProcess:
        return subprocess.run(["java", "-cp", f"{classes}:{libraries}", "Client", *arguments], capture_output=True, text=True)

    return run
