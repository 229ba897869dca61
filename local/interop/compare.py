"""What differs between a file and what was built from its metadata and bulkdata."""

import collections
import functools
import pathlib
import subprocess

import pydicom
from pydicom import uid
from pydicom.multival import MultiValue

from bulkdata import frames, transfer_syntax


# PS3.3 §C.7.6.1.1.5: derived from bit streams that are lossy, where the metadata do not have them.
LOSSY = ["LossyImageCompression", "LossyImageCompressionMethod"]


def differences(source: pydicom.Dataset, built: pydicom.Dataset, digits: int = 17) -> list[str]:
    """
    Elements that differ but for the encoding: the character set, private blocks, Pixel Data's fragments.
    digits are those of floating point numbers that the writer of the metadata keeps.
    """
    wanted, found = flatten(source, digits), flatten(built, digits)
    for keyword in LOSSY:
        if (keyword,) not in wanted:
            found.pop((keyword,), None)
    out = [f"{key}: {wanted.get(key)!r:.200} != {found.get(key)!r:.200}" for key in wanted | found if wanted.get(key) != found.get(key)]
    syntax = transfer_syntax(source)
    if not syntax.is_encapsulated:
        syntax = uid.ExplicitVRLittleEndian
    elif [codestream(f) for f in frames(source)] != [codestream(f) for f in frames(built)]:
        out.append("frames")
    if built.file_meta.TransferSyntaxUID != syntax:
        out.append(f"{built.file_meta.TransferSyntaxUID.name} is not {syntax.name}")
    if (built.file_meta.MediaStorageSOPClassUID, built.file_meta.MediaStorageSOPInstanceUID) != (source.SOPClassUID, source.SOPInstanceUID):
        out.append("File Meta Information")
    return out


def flatten(dataset: pydicom.Dataset, digits: int, path: tuple = ()) -> dict:
    """Values of all elements at all depths, by paths in which private elements have their creator for their block."""
    out = {}
    for tag in dataset.keys():
        if tag.element == 0 or tag.is_private_creator or tag == 0x00080005 or tag.group == 2:
            continue
        element = dataset[tag]
        key = (*path, element.keyword or str(tag))
        if tag.is_private:
            creator = dataset.get((tag.group, tag.element >> 8))
            key = (*path, f"({tag.group:04X},{creator and creator.value},{tag.element & 0xFF:02X})")
        if element.VR == "SQ":
            out[key] = "SQ", len(element.value)
            for number, item in enumerate(element.value):
                out |= flatten(item, digits, (*key, number))
        elif tag != 0x7FE00010 or path or not transfer_syntax(dataset).is_encapsulated:
            out[key] = element.VR, plain(element.VR, element.value, digits)
    return out


def plain(vr: str, value, digits: int):
    """value without what does not matter in it."""
    if isinstance(value, (MultiValue, list)):
        values = [plain(vr, v, digits) for v in value]
        while len(values) > 1 and values[-1] is None:  # dcm4che leaves them out
            values.pop()
        return values if len(values) > 1 else values[0]
    if value is None or value == "" or value == b"":
        return None
    if isinstance(value, bytes):
        return padded(value)
    if vr in ("DS", "IS"):
        try:
            return float(value)
        except ValueError:
            return value
    if vr in ("FL", "FD"):
        return float(f"{value:.{digits}g}")
    if vr == "PN":
        return "=".join(group.rstrip("^ ") for group in str(value).split("=")).rstrip("=") or None
    return value.strip() or None if isinstance(value, str) else value


def codestream(frame: bytes) -> bytes:
    """A compressed frame of even length, of JPEG 2000 without the header of a JP2 file, which is not to be there (PS3.5 §A.4.4)."""
    if frame[4:8] == b"jP  ":
        frame = frame[frame.index(b"\xff\x4f\xff\x51"):]
    return padded(frame)


def padded(data: bytes) -> bytes:
    """data of even length."""
    return data + b"\0" * (len(data) % 2)


def complaints(path: pathlib.Path) -> collections.Counter:
    """Errors that dcmtk and dciodvfy find in a file."""
    dump = subprocess.run(["dcmdump", "--load-all", path], capture_output=True, text=True, errors="replace")
    found = [line for line in dump.stderr.splitlines() if line.startswith(("E:", "F:"))]
    verify = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    found += [line for line in (verify.stdout + verify.stderr).splitlines() if line.startswith("Error")]
    return collections.Counter(found)


known_complaints = functools.lru_cache(complaints)  # of files that stay as they are


def is_file_format(path: pathlib.Path) -> bool:
    """Whether dcmtk takes it for a file of PS3.10."""
    return subprocess.run(["dcmftest", path], capture_output=True, check=False).returncode == 0
