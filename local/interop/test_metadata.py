"""Every test file of pydicom, as metadata and bulkdata: what is stored equals it, and no tool finds a new fault."""

import io
import pathlib
import subprocess
import warnings
import xml.etree.ElementTree as ET

import pydicom
import pytest
from pydicom import uid

from bulkdata import transfer_syntax
from compare import complaints, differences, is_file_format, known_complaints
from corpora import files, key_by_pydicom
from metadata import json_by_dcmtk, json_by_pydicom, with_bulkdata, xml_by_dcmtk
from request import store

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, of values that break a rule

SOURCES = {file.path.name: file.path for file in files() if file.corpus == "pydicom" and key_by_pydicom(file.path)}

# What the writers of metadata refuse, and why.
PYDICOM_REFUSES = {"badVR.dcm"}
DCMTK_REFUSES = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
DCM2XML_REFUSES = DCMTK_REFUSES | {
    "J2K_pixelrep_mismatch.dcm",  # ISO 2022 IR 87
    "SC_rgb_jpeg.dcm",  # not in its transfer syntax
    "waveform_ecg.dcm",  # writes (7001,1131), which has no private creator, as (7001,0031)
}
DCM4CHE_REFUSES = {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}

# What the service refuses.
WRONG = {
    "badVR.dcm",  # no Image Pixel attributes
    "MR_truncated.dcm",  # less than Rows × Columns
    "MR_small_padded.dcm",  # more than Rows × Columns
    "JPEG2000-embedded-sequence-delimiter.dcm",  # over the size in its codestream's head
}


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Gives the file of a name, or its copy in explicit VR little endian where the tools would not read the same of it."""
    folder = tmp_path_factory.mktemp("sources")

    def copy(name: str) -> pathlib.Path:
        path, copied = SOURCES[name], folder / name
        if transfer_syntax(pydicom.dcmread(path, force=True)) not in (uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian):
            return path
        if not copied.exists():
            subprocess.run(["dcmconv", "--write-xfer-little", path, copied], check=True)
        return copied

    return copy


def check(service, answer, path, tmp_path, digits=17, wrong=WRONG):
    """The answer is a success, and the only object is the file at path, built anew. Names in wrong are refused."""
    if path.name in wrong:
        assert answer.status_code == 409, answer.text
        assert service.objects() == {}
        return
    assert answer.status_code == 200, answer.text
    (key, data), = service.objects().items()
    source = pydicom.dcmread(path, force=True)
    assert key == f"{source.StudyInstanceUID}/{source.SeriesInstanceUID}/{source.SOPInstanceUID}"
    assert differences(source, pydicom.dcmread(io.BytesIO(data)), digits) == []
    built = tmp_path / "built.dcm"
    built.write_bytes(data)
    assert is_file_format(built)
    if path.name not in DCMTK_REFUSES:
        assert complaints(built) - known_complaints(path) == {}


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - PYDICOM_REFUSES))
def test_json_by_pydicom(service, source, name, tmp_path):
    path = source(name)
    check(service, store(service, json_by_pydicom(pydicom.dcmread(path, force=True))), path, tmp_path)


def encapsulated() -> set[str]:
    """Names of the files with compressed Pixel Data, which dcm2json refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heads = {name: pydicom.dcmread(path, force=True, stop_before_pixels=True) for name, path in SOURCES.items()}
    return {name for name, head in heads.items() if transfer_syntax(head).is_encapsulated}


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - DCMTK_REFUSES - encapsulated()))
def test_json_by_dcmtk(service, source, name, tmp_path):
    path = source(name)
    parts = json_by_dcmtk(path, pydicom.dcmread(path, force=True))
    check(service, store(service, parts, lengths=False, chunked=True), path, tmp_path, 15, WRONG)


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - DCM2XML_REFUSES))
def test_xml_by_dcmtk(service, source, name, tmp_path):
    path = source(name)
    parts = xml_by_dcmtk(path, pydicom.dcmread(path, force=True))
    check(service, store(service, parts, lengths=False), path, tmp_path, 15)


@pytest.fixture(scope="session")
def xml_by_dcm4che(java, source, tmp_path_factory):
    """Native DICOM Models, by the names of their files."""
    folder = tmp_path_factory.mktemp("xml")
    out = java("xml", folder, *(source(name) for name in SOURCES))
    texts = {name: folder / f"{number}.xml" for number, name in enumerate(SOURCES)}
    assert {name for name, path in texts.items() if not path.exists()} == DCM4CHE_REFUSES, out.stderr
    return texts


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - DCM4CHE_REFUSES))
def test_xml_by_dcm4che(service, source, xml_by_dcm4che, name, tmp_path):
    path = source(name)
    parts = with_bulkdata(ET.parse(xml_by_dcm4che[name]).getroot(), pydicom.dcmread(path, force=True))
    check(service, store(service, parts, chunked=True), path, tmp_path, 11)
