"""Each client stores the samples, and the bucket holds what it sent, byte for byte."""

import io
import json
import pathlib
import shutil
import subprocess
import time
import urllib.request

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient

from conftest import free_port

HERE = pathlib.Path(__file__).parent


def contents(paths):
    return sorted(p.read_bytes() for p in paths)


def test_curl_single(service, samples):
    for sample in samples:
        subprocess.run(
            ["curl", "-sfS", "-X", "POST", "-H", "Content-Type: application/dicom", "--data-binary", f"@{sample}", f"{service.url}/studies"],
            check=True,
        )
    assert sorted(service.objects().values()) == contents(samples)


def test_curl_multipart_by_hand(service, samples, tmp_path):
    body = tmp_path / "body"
    with body.open("wb") as f:
        for sample in samples:
            f.write(b"\r\n--myboundary\r\nContent-Type: application/dicom\r\n\r\n" + sample.read_bytes())
        f.write(b"\r\n--myboundary--")
    for how in (["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
        service.clear()
        subprocess.run(
            ["curl", "-sfS", "-X", "POST", *how, "-H", "Content-Type: multipart/related; type=application/dicom; boundary=myboundary",
             "--data-binary", f"@{body}", f"{service.url}/studies/"],
            check=True,
        )
        assert sorted(service.objects().values()) == contents(samples)


@pytest.mark.parametrize("chunk_size", [None, 100_000])
@pytest.mark.parametrize("with_study", [False, True])
def test_python_dicomweb_client(service, samples, chunk_size, with_study):
    datasets = [pydicom.dcmread(sample) for sample in samples]
    options = {} if chunk_size is None else {"chunk_size": chunk_size}
    study = datasets[0].StudyInstanceUID if with_study else None
    answer = DICOMwebClient(service.url, **options).store_instances(datasets, study_instance_uid=study)
    assert len(answer.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in answer

    sent = []
    for dataset in datasets:
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset)
        sent.append(buffer.getvalue())
    assert sorted(service.objects().values()) == sorted(sent)


def test_javascript_dicomweb_client(service, samples):
    out = subprocess.run(["node", HERE / "store.js", service.url, *samples], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "stored"
    assert sorted(service.objects().values()) == contents(samples)


@pytest.mark.parametrize("accept", ["application/dicom+xml", "application/dicom+json"])
def test_weasis(service, samples, java, accept):
    out = java("store", f"{service.url}/studies", accept, *samples)
    assert out.returncode == 0, out.stderr
    assert sorted(service.objects().values()) == contents(samples)


def test_weasis_reads_what_failed(service, samples, java, tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    out = java("store", f"{service.url}/studies", "application/dicom+xml", *samples, broken)
    assert "status" in out.stderr and out.returncode != 0, out.stderr
    assert sorted(service.objects().values()) == contents(samples)


def test_orthanc(service, samples, tmp_path):
    port = free_port()
    (tmp_path / "orthanc.json").write_text(json.dumps({
        "StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db"), "HttpPort": port, "DicomServerEnabled": False,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": ["/usr/share/orthanc/plugins"],
        "DicomWeb": {"Enable": True, "Servers": {"s3": [service.url + "/"]}},
    }))

    def ask(path, data=None):
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data), timeout=60) as response:
            return json.load(response)

    orthanc = subprocess.Popen([shutil.which("Orthanc"), tmp_path / "orthanc.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask("/system")
                break
            except OSError:
                assert orthanc.poll() is None and time.monotonic() < deadline, "Orthanc does not start"
                time.sleep(0.2)
        for sample in samples:
            ask("/instances", sample.read_bytes())
        answer = ask("/dicom-web/servers/s3/stow", json.dumps({"Resources": ask("/studies"), "Synchronous": True}).encode())
        assert int(answer["InstancesCount"]) == 3
    finally:
        orthanc.terminate()
        orthanc.wait(timeout=60)
    assert sorted(service.objects().values()) == contents(samples)
