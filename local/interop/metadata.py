"""Metadata of DICOM files, by four writers: pydicom and dcmtk (JSON), dcmtk and dcm4che (Native DICOM Model)."""

import base64
import functools
import json
import pathlib
import subprocess
import xml.etree.ElementTree as ET

import pydicom

from bulkdata import HELD_BACK, PIXEL_DATA, Bulkdata
from request import JSON, XML, Part

ET.register_namespace("", "http://dicom.nema.org/PS3.19/models/NativeDICOM")
NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def json_by_pydicom(dataset: pydicom.Dataset) -> list[Part]:
    """PS3.18 annex F, with the bulkdata of the dataset behind it."""
    bulkdata = Bulkdata(dataset)

    def hold_back(element):
        if element.tag == 0x7FE00010 and element is dataset["PixelData"]:
            return bulkdata.add_pixels()
        return bulkdata.add(element.value)

    model = dataset.to_json_dict(bulk_data_threshold=HELD_BACK, bulk_data_element_handler=hold_back)
    return [Part(JSON, json.dumps([model]).encode()), *bulkdata.parts]


def json_by_dcmtk(path: pathlib.Path, dataset: pydicom.Dataset) -> list[Part]:
    """As json_by_pydicom, of a file with uncompressed Pixel Data."""
    text = subprocess.run(["dcm2json", "--encode-extended", path], check=True, capture_output=True).stdout
    bulkdata = Bulkdata(dataset)
    model = json.loads(text)
    hold_back_json(model, bulkdata)
    return [Part(JSON, json.dumps([model]).encode()), *bulkdata.parts]


def hold_back_json(model: dict, bulkdata: Bulkdata):
    for attribute in model.values():
        if attribute["vr"] == "SQ":
            for item in attribute.get("Value", []):
                hold_back_json(item, bulkdata)
        data = base64.b64decode(attribute.get("InlineBinary", ""))
        if len(data) > HELD_BACK:
            del attribute["InlineBinary"]
            attribute["BulkDataURI"] = bulkdata.add(data)


def xml_by_dcmtk(path: pathlib.Path, dataset: pydicom.Dataset) -> list[Part]:
    """PS3.19 A.1, with the bulkdata of the dataset behind it."""
    root = dcm2xml(path)
    if dcm2xml_swaps():
        for attribute in root.iter(f"{NAMESPACE}DicomAttribute"):
            data = base64.b64decode(attribute.findtext(f"{NAMESPACE}InlineBinary", ""))
            if data and attribute.get("vr") == "OW":
                attribute.find(f"{NAMESPACE}InlineBinary").text = base64.b64encode(swapped(data)).decode()
    return with_bulkdata(root, dataset)


def dcm2xml(path: pathlib.Path) -> ET.Element:
    command = ["dcm2xml", "--native-format", "--use-xml-namespace", "--convert-to-utf8", "--load-all", "--encode-base64", path]
    return ET.fromstring(subprocess.run(command, check=True, capture_output=True).stdout)


@functools.cache
def dcm2xml_swaps() -> bool:
    """Whether dcmtk has the bytes of OW the wrong way round (PS3.19 §A.1.6), as 3.6.7 has."""
    sample = pathlib.Path(__file__).parents[2] / "dcm-samples" / "slice-1.dcm"
    pixels = dcm2xml(sample).find(f"{NAMESPACE}DicomAttribute[@tag='{PIXEL_DATA}']/{NAMESPACE}InlineBinary")
    return base64.b64decode(pixels.text) == swapped(pydicom.dcmread(sample).PixelData)


def swapped(data: bytes) -> bytes:
    return bytes(byte for pair in zip(data[1::2], data[::2]) for byte in pair)


def with_bulkdata(root: ET.Element, dataset: pydicom.Dataset) -> list[Part]:
    """Takes long values, and Pixel Data, out of a Native DICOM Model with or without its namespace."""
    bulkdata = Bulkdata(dataset)
    for attribute in root.findall("{*}DicomAttribute"):
        if attribute.get("tag").startswith("0002"):  # PS3.18 §10.5.1.4: no File Meta Information
            root.remove(attribute)
    hold_back_xml(root, bulkdata, PIXEL_DATA)
    text = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return [Part(XML, text.replace(b"\r", b"&#13;")), *bulkdata.parts]


def hold_back_xml(model: ET.Element, bulkdata: Bulkdata, pixel_data: str = ""):
    for attribute in model.findall("{*}DicomAttribute"):
        for item in attribute.findall("{*}Item"):
            hold_back_xml(item, bulkdata)
        data = base64.b64decode(attribute.findtext("{*}InlineBinary", ""))
        if attribute.get("tag") == pixel_data:
            uri = bulkdata.add_pixels()
        elif len(data) > HELD_BACK:
            uri = bulkdata.add(data)
        else:
            continue
        for child in list(attribute):
            attribute.remove(child)
        namespace = attribute.tag.removesuffix("DicomAttribute")
        ET.SubElement(attribute, f"{namespace}BulkData", uri=uri)
