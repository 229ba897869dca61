"""Files that are damaged by chance: stored under the UIDs that an independent reader finds in them, or refused."""

import random

import pytest
import requests

from corpora import files, key_by_dcmtk, key_by_pydicom

PIECES = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0", b"SQ", b"UN", b"OB", b"UT", b"ZZ",
          b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"]  # delimiters, an item
DATASET, SMALL = 132, 300_000


def damaged(content: bytes, chance: random.Random) -> bytes:
    """One to three places between the preamble and a little behind the UIDs are overwritten, removed, inserted or doubled."""
    b = bytearray(content)
    end = max(600, content.find(b"\x20\x00\x0e\x00") + 100)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at, piece = chance.randrange(DATASET, min(end, len(b))), chance.choice(PIECES)
        match chance.randrange(5):
            case 0:
                b[at] = chance.randrange(256)
            case 1:
                b[at:at + len(piece)] = piece
            case 2:
                del b[at:at + chance.choice([1, 2, 4, 8])]
            case 3:
                b[at:at] = piece
            case 4:
                b[at:at] = b[at:at + chance.randrange(2, 60)]
    return bytes(b)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files(service, tmp_path, seed):
    chance, path = random.Random(seed), tmp_path / "file"
    whole = [content for content in (file.content() for file in files()) if DATASET * 2 < len(content) < SMALL]
    for n in range(20):
        content = damaged(chance.choice(whole), chance)
        answer = requests.post(f"{service.url}/studies", data=content, headers={"Content-Type": "application/dicom"}, timeout=60)
        objects = service.objects()
        service.clear()
        path.write_bytes(content)
        found = {key_by_pydicom(path), key_by_dcmtk(path)} - {None}
        if answer.status_code in (200, 202):
            assert list(objects.values()) == [content]
            assert not found or found & set(objects), f"number {n}: stored as {list(objects)}, others find {found}"
        else:
            assert answer.status_code in (400, 409), answer.text
            assert objects == {}
            assert answer.headers["Warning"]
