"""How requests of metadata and bulkdata differ from one sender to the next."""

import json
import random
import subprocess
import xml.etree.ElementTree as ET

import pydicom
import pytest
from pydicom.uid import generate_uid

from compare import complaints, differences, is_file_format, padded
from instances import document
from metadata import json_by_pydicom, with_bulkdata, xml_by_dcmtk
from request import JSON, XML, Part, store
from test_metadata import SOURCES, check, source  # noqa: F401 (source is a fixture)

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, of values that break a rule

# An image, a film of 30 compressed frames, and curves at depth 2 of the dataset.
NAMES = ["CT_small.dcm", "examples_ybr_color.dcm", "waveform_ecg.dcm"]


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("order", ["dataset", "reversed"])
@pytest.mark.parametrize("name", NAMES)
def test_framing(service, name, order, chunked, lengths, tmp_path):
    metadata, *bulk = json_by_pydicom(pydicom.dcmread(SOURCES[name]))
    if order == "reversed":  # of elements; the frames of one stay in their order
        bulk.sort(key=lambda part: -int(part.location.split("/")[1]))
    answer = store(service, [metadata, *bulk], lengths=lengths, chunked=chunked)
    check(service, answer, SOURCES[name], tmp_path)


def three() -> list[tuple[pydicom.Dataset, list[Part]]]:
    """Three instances of one series with references of their own, and their parts, the metadata first."""
    out = []
    for number in range(3):
        dataset = pydicom.dcmread(SOURCES["CT_small.dcm"])
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.InstanceNumber = number
        dataset.PixelData = bytes([number]) * len(dataset.PixelData)
        metadata, *bulk = json_by_pydicom(dataset)
        metadata.data = metadata.data.replace(b'"bulk/', f'"{number}/bulk/'.encode())
        for part in bulk:
            part.location = f"{number}/{part.location}"
        out.append((dataset, [metadata, *bulk]))
    return out


def check_all(service, answer, sources):
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["00081199"]["Value"]) == len(sources)
    built = {key.split("/")[2]: pydicom.dcmread(service.bucket / key) for key in service.objects()}
    assert built.keys() == {source.SOPInstanceUID for source in sources}
    for source in sources:
        assert differences(source, built[source.SOPInstanceUID], digits=15) == []


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_several_in_one_array(service, shuffled, lengths):
    instances = three()
    model = [json.loads(parts[0].data)[0] for _, parts in instances]
    bulk = [part for _, parts in instances for part in parts[1:]]
    if shuffled:  # dcm4che's stowrs sends them in the order of a hash table
        random.Random(1).shuffle(bulk)
    answer = store(service, [Part(JSON, json.dumps(model).encode()), *bulk], lengths=lengths)
    check_all(service, answer, [source for source, _ in instances])


def native_model(dataset, tmp_path, number) -> list[Part]:
    path = tmp_path / f"{number}.dcm"
    dataset.save_as(path)
    metadata, *bulk = xml_by_dcmtk(path, dataset)
    metadata.data = metadata.data.replace(b'"bulk/', f'"{number}/bulk/'.encode())
    for part in bulk:
        part.location = f"{number}/{part.location}"
    return [metadata, *bulk]


@pytest.mark.parametrize("interleaved", [False, True])
def test_several_native_models(service, interleaved, tmp_path):
    """dcm4che's stowrs sends the bulkdata of each instance behind its metadata, before the next metadata."""
    sources = [dataset for dataset, _ in three()]
    parts = [part for number, dataset in enumerate(sources) for part in native_model(dataset, tmp_path, number)]
    if not interleaved:  # PS3.18 §10.5.1.4
        parts.sort(key=lambda part: part.type != XML)
    check_all(service, store(service, parts, lengths=False), sources)


@pytest.mark.parametrize("kind", ["application/dicom+JSON", "Application/Dicom+Json; charset=utf-8"])
def test_spelling_of_the_type(service, kind, tmp_path):
    metadata, *bulk = json_by_pydicom(pydicom.dcmread(SOURCES["CT_small.dcm"]))
    metadata.type = kind
    check(service, store(service, [metadata, *bulk]), SOURCES["CT_small.dcm"], tmp_path)


def test_absolute_references(service, tmp_path):
    metadata, *bulk = json_by_pydicom(pydicom.dcmread(SOURCES["CT_small.dcm"]))
    base = "https://sender.example/dicom-web/studies/1/"
    metadata.data = metadata.data.replace(b'"bulk/', f'"{base}bulk/'.encode())
    for part in bulk:
        part.location = base + part.location
    check(service, store(service, [metadata, *bulk]), SOURCES["CT_small.dcm"], tmp_path)


def test_everything_inline(service, tmp_path):
    path = SOURCES["CT_small.dcm"]
    text = subprocess.run(["dcm2json", path], check=True, capture_output=True).stdout
    check(service, store(service, [Part(JSON, b"[" + text + b"]")]), path, tmp_path)


@pytest.mark.parametrize("lacking", [0, 1])
def test_incomplete(service, lacking):
    """Without one of its parts the instance is not stored, and the others are."""
    instances = three()
    model = [json.loads(parts[0].data)[0] for _, parts in instances]
    bulk = [part for _, parts in instances for part in parts[1:]]
    del bulk[lacking]
    answer = store(service, [Part(JSON, json.dumps(model).encode()), *bulk])
    assert answer.status_code == 202, answer.text
    failed = [item["00081155"]["Value"][0] for item in answer.json()["00081198"]["Value"]]
    assert failed == [instances[0][0].SOPInstanceUID]
    assert {key.split("/")[2] for key in service.objects()} == {source.SOPInstanceUID for source, _ in instances[1:]}


def test_weasis_document(service, java, tmp_path):
    pdf = tmp_path / "document.pdf"
    pdf.write_bytes(b"%PDF-1.4\n" + b"%" * 100 + b"\n%%EOF")
    dataset = document("Résumé")
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(tmp_path / "metadata.dcm", enforce_file_format=True)
    java("xml", tmp_path, tmp_path / "metadata.dcm")
    (metadata,) = with_bulkdata(ET.parse(tmp_path / "0.xml").getroot(), dataset)
    (tmp_path / "metadata.xml").write_bytes(metadata.data)

    out = java("document", f"{service.url}/studies", "application/pdf", pydicom.uid.EncapsulatedPDFStorage, tmp_path / "metadata.xml", pdf)
    assert out.returncode == 0, out.stderr
    (data,) = service.objects().values()
    built = tmp_path / "built.dcm"
    built.write_bytes(data)
    stored = pydicom.dcmread(built)
    assert stored.EncapsulatedDocument == padded(pdf.read_bytes())
    assert (stored.PatientName, stored.SOPInstanceUID) == ("Tést^Pätient", dataset.SOPInstanceUID)
    assert is_file_format(built)
    by_the_client = ("Acquisition DateTime", "contains invalid data values")  # it writes a time without its date
    assert [complaint for complaint in complaints(built) if not any(words in complaint for words in by_the_client)] == []
