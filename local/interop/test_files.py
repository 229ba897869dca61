"""Every test file that pydicom ships: stored under the UIDs that pydicom reads, or refused where it reads none."""

import pathlib
import warnings

import pydicom
import pydicom.data
import pytest
import requests

FILES = sorted(p for p in (pathlib.Path(pydicom.data.__file__).parent / "test_files").rglob("*") if p.is_file())


def key_by_pydicom(path):
    """study/series/instance, or None where pydicom finds no such file or no such UIDs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            uids = [str(dataset[keyword].value) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")]
        except Exception:
            return None
    return "/".join(uids[:3]) if all(uids) else None


def test_there_are_files():
    assert len(FILES) > 50
    assert sum(key_by_pydicom(path) is not None for path in FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_file(service, path):
    answer = requests.post(f"{service.url}/studies", data=path.read_bytes(), headers={"Content-Type": "application/dicom"}, timeout=60)
    key = key_by_pydicom(path)
    if key is None:
        assert answer.status_code in (400, 409), answer.text
        assert service.objects() == {}
    else:
        assert answer.status_code in (200, 202), answer.text
        assert service.objects() == {key: path.read_bytes()}
