"""Storage commitment (PS3.18 §13) asked for by pydicom, of a bucket that another S3 server keeps."""

import urllib.error
import urllib.request

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from conftest import ROOT

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"


def reference(study, series, instance, sop_class=CTImageStorage):
    """The Referenced Study Sequence of one instance (Table J.2-1)."""
    one = Dataset()
    one.ReferencedSOPInstanceUID = instance
    group = Dataset()
    group.ReferencedSOPClassUID = sop_class
    group.ReferencedInstanceSequence = [one]
    of = Dataset()
    of.SeriesInstanceUID = series
    of.ReferencedInstancesBySOPClassSequence = [group]
    item = Dataset()
    item.StudyInstanceUID = study
    item.ReferencedSeriesSequence = [of]
    return item


def as_xml(ds: Dataset) -> str:
    """The Native DICOM Model (PS3.19 §A.1.5) of sequences and UIDs."""
    text = ""
    for e in ds:
        text += f'<DicomAttribute tag="{e.tag:08X}" vr="{e.VR}" keyword="{e.keyword}">'
        if e.VR == "SQ":
            text += "".join(f'<Item number="{n}">{as_xml(i)}</Item>' for n, i in enumerate(e.value, 1))
        else:
            text += f'<Value number="1">{e.value}</Value>'
        text += "</DicomAttribute>\n"
    return text


def ask(url, body: bytes, media_type):
    request = urllib.request.Request(
        f"{url}/commitment-requests/{generate_uid(prefix=None)}", data=body, headers={"Content-Type": media_type, "Accept": "application/dicom+json"}, method="POST")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200 and response.headers["Content-Type"] == "application/dicom+json"
        return Dataset.from_json(response.read().decode())


def instances(sequence):
    for study in sequence or []:
        for series in study.ReferencedSeriesSequence:
            for group in series.ReferencedInstancesBySOPClassSequence:
                for one in group.ReferencedInstanceSequence:
                    yield (study.StudyInstanceUID, series.SeriesInstanceUID, group.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID, one.get("FailureReason"))


@pytest.mark.parametrize("syntax", ["json", "xml"])
def test_commitment(service, syntax):
    samples = [pydicom.dcmread(p) for p in sorted((ROOT / "dcm-samples").glob("*.dcm"))]
    for p in sorted((ROOT / "dcm-samples").glob("*.dcm"))[:2]:
        urllib.request.urlopen(urllib.request.Request(f"{service.url}/studies", data=p.read_bytes(), headers={"Content-Type": "application/dicom"}))
    asked = Dataset()
    asked.ReferencedStudySequence = [reference(d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPInstanceUID, d.SOPClassUID) for d in samples]
    if syntax == "json":
        got = ask(service.url, asked.to_json().encode(), "application/dicom+json")
    else:
        document = f'<?xml version="1.0" encoding="utf-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">{as_xml(asked)}</NativeDicomModel>'
        got = ask(service.url, document.encode(), "application/dicom+xml")

    def name(d, reason=None):
        return (d.StudyInstanceUID, d.SeriesInstanceUID, d.SOPClassUID, d.SOPInstanceUID, reason)

    assert sorted(instances(got.ReferencedStudySequence)) == sorted(name(d) for d in samples[:2])
    assert list(instances(got.get("FailedStudySequence"))) == [name(samples[2], 0x0112)]
    assert "ReferencedSOPSequence" not in got and "FailedSOPSequence" not in got


def test_flat_commitment_names_no_study(service):
    sample = pydicom.dcmread(ROOT / "dcm-samples" / "slice-1.dcm")
    one = Dataset()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sample.SOPClassUID, sample.SOPInstanceUID
    asked = Dataset()
    asked.ReferencedSOPSequence = [one]
    got = ask(service.url, asked.to_json().encode(), "application/dicom+json")
    assert [(f.ReferencedSOPInstanceUID, f.FailureReason) for f in got.FailedSOPSequence] == [(sample.SOPInstanceUID, 0x0110)]


def test_result_is_not_kept(service):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{service.url}/commitment-requests/2.25.1")
    assert error.value.code == 404
