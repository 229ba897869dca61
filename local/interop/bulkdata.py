"""Which values are held back from the metadata, and the bulkdata parts they are sent in."""

import pydicom
from pydicom import uid
from pydicom.encaps import generate_frames

from request import Part

HELD_BACK = 64  # bytes; a longer binary value is bulkdata

PIXEL_DATA = "7FE00010"

# PS3.18 Table 8.7.3-5
MEDIA_TYPES = {
    uid.JPEGBaseline8Bit: "image/jpeg",
    uid.JPEGExtended12Bit: "image/jpeg",
    uid.JPEGLossless: "image/jpeg",
    uid.JPEGLosslessSV1: "image/jpeg",
    uid.JPEGLSLossless: "image/jls",
    uid.JPEGLSNearLossless: "image/jls",
    uid.JPEG2000Lossless: "image/jp2",
    uid.JPEG2000: "image/jp2",
    uid.RLELossless: "image/dicom-rle",
}


class Bulkdata:
    """Gives each value held back a reference, and collects the parts in the order of the dataset."""

    def __init__(self, dataset: pydicom.Dataset):
        self.dataset = dataset
        self.parts: list[Part] = []
        self.references = 0

    def refer(self) -> str:
        self.references += 1
        return f"bulk/{self.references}"

    def add(self, data: bytes) -> str:
        """Takes an uncompressed value, and returns its reference."""
        location = self.refer()
        self.parts.append(Part("application/octet-stream", data, location))
        return location

    def add_pixels(self) -> str:
        """Takes the dataset's Pixel Data: one part, or one for each compressed frame."""
        syntax = transfer_syntax(self.dataset)
        if not syntax.is_encapsulated:
            return self.add(self.dataset.PixelData)
        location = self.refer()
        for frame in frames(self.dataset):
            self.parts.append(Part(f"{MEDIA_TYPES[syntax]}; transfer-syntax={syntax}", frame, location))
        return location


def transfer_syntax(dataset: pydicom.Dataset) -> uid.UID:
    """The Transfer Syntax of the file; files without one are uncompressed."""
    return dataset.file_meta.get("TransferSyntaxUID", uid.ExplicitVRLittleEndian)


def frames(dataset: pydicom.Dataset) -> list[bytes]:
    """The compressed frames."""
    return list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
