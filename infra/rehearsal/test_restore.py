"""The commands by which docs/operations.md brings back what was deleted or overwritten, as they are written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REGION, TEMPLATES

OPERATIONS = TEMPLATES.parent.parent.parent / "docs" / "operations.md"
KEY = "1.2.3/1.2.3.4/1.2.3.4.5"


def commands(heading):
    """The indented lines below a paragraph that begins with these words, to the next paragraph, as one script each."""
    _, _, after = OPERATIONS.read_text().partition(f"**{heading}**")
    assert after, heading
    block = re.search(r"\n\n((?:    .*\n)+)", after)[1]
    return re.split(r"\n(?=aws )", re.sub(r"(?m)^    ", "", block).strip())


@pytest.fixture
def archive(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="dicom")
    s3.put_bucket_versioning(Bucket="dicom", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="dicom", Key=KEY, Body=b"image", Metadata={"request-id": "first"})
    return s3


@pytest.fixture
def shell(aws):
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_DEFAULT_REGION": REGION,
    }

    def run(script, **names):
        for name, value in {"BUCKET": "dicom", "STUDY": KEY.split("/")[0], "KEY": KEY, **names}.items():
            script = re.sub(rf"\b{name}\b", value, script)
        return subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=True, capture_output=True, text=True).stdout

    return run


def stored(s3):
    found = s3.get_object(Bucket="dicom", Key=KEY)
    return found["Body"].read(), found["Metadata"]


def test_deleted(archive, shell):
    archive.delete_object(Bucket="dicom", Key=KEY)
    with pytest.raises(archive.exceptions.NoSuchKey):
        stored(archive)
    look, restore = commands("A deleted object")
    assert shell(look).split()[0] == KEY
    shell(restore)
    assert stored(archive) == (b"image", {"request-id": "first"})
    assert shell(look) == ""


def test_overwritten(archive, shell):
    archive.put_object(Bucket="dicom", Key=KEY, Body=b"another image", Metadata={"request-id": "second"})
    look, restore = commands("An overwritten object")
    (version,) = [line.split()[0] for line in shell(look).splitlines() if line.split()[1] == "False"]
    shell(restore, VERSION=version)
    assert stored(archive) == (b"image", {"request-id": "first"})
    assert len(shell(look).splitlines()) == 3  # nothing is lost by it
