"""An emulator of AWS on this machine, without credentials for the real one."""

import socket
import subprocess
import sys
import time
import urllib.request

import boto3
import pytest

REGION = "us-east-1"


class Emulator:
    def __init__(self, url):
        self.url = url

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="rehearsal", aws_secret_access_key="rehearsal"
        )

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        # What `cdk bootstrap` leaves; every CDK stack asks for its version.
        self.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(150):
                assert server.poll() is None, log.read_text()
                try:
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield Emulator(url)
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
def aws(emulator):
    emulator.reset()
    return emulator
