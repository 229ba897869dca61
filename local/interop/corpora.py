"""Collections of DICOM files that packages ship, and the names that two independent readers find in each file."""

import dataclasses
import gzip
import importlib.util
import json
import pathlib
import re
import subprocess
import warnings

import pydicom

KEYWORDS = {"StudyInstanceUID": "0020,000d", "SeriesInstanceUID": "0020,000e", "SOPInstanceUID": "0008,0018", "SOPClassUID": "0008,0016"}


@dataclasses.dataclass(frozen=True)
class File:
    corpus: str
    path: pathlib.Path

    def content(self) -> bytes:
        content = self.path.read_bytes()
        return gzip.decompress(content) if self.path.suffix == ".gz" else content


def package(name: str) -> pathlib.Path:
    return pathlib.Path(importlib.util.find_spec(name).origin).parent


def go_module(name: str, directory: pathlib.Path) -> pathlib.Path:
    downloaded = subprocess.run(["go", "mod", "download", "-json", name], cwd=directory, check=True, capture_output=True, text=True)
    return pathlib.Path(json.loads(downloaded.stdout)["Dir"])


def files() -> list[File]:
    app = pathlib.Path(__file__).parents[2] / "app"
    folders = {
        "pydicom": package("pydicom") / "data" / "test_files",
        "pydicom-data": package("data_store") / "data",
        "nibabel": package("nibabel") / "nicom" / "tests" / "data",
        "suyashkumar/dicom": go_module("github.com/suyashkumar/dicom", app) / "testdata",
    }
    return [File(corpus, path) for corpus, folder in folders.items() for path in sorted(folder.rglob("*")) if path.is_file()]


def key(uids: dict[str, str]) -> str | None:
    """study/series/instance, or None if one of the four UIDs is missing or none (PS3.5 §9.1)."""
    values = [uids.get(keyword, "") for keyword in KEYWORDS]
    return "/".join(values[:3]) if all(re.fullmatch(r"[0-9]+(\.[0-9]+)*", value) and len(value) <= 64 for value in values) else None


def key_by_pydicom(path: pathlib.Path) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            return key({keyword: str(dataset[keyword].value) for keyword in KEYWORDS})
        except Exception:
            return None


def key_by_dcmtk(path: pathlib.Path) -> str | None:
    searched = [argument for tag in KEYWORDS.values() for argument in ("+P", tag)]
    dump = subprocess.run(["dcmdump", "-q", "-Un", "+p", "+L", *searched, path], capture_output=True)
    if dump.returncode:
        return None
    found = dict(re.findall(r"^\((0008,001[68]|0020,000[de])\) UI (?:\[([^\]]*)\])?", dump.stdout.decode("latin-1"), re.MULTILINE))
    return key({keyword: found.get(tag, "") for keyword, tag in KEYWORDS.items()})
