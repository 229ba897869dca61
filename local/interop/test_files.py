"""Files that other packages ship: stored under the UIDs that two independent readers find, or refused where they find none."""

import collections
import pathlib
import re

import pytest
import requests

from corpora import File, files, key_by_dcmtk, key_by_pydicom

CONFORMANCE = pathlib.Path(__file__).parents[2] / "docs" / "conformance.md"
outcomes: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)


@pytest.mark.parametrize("file", files(), ids=lambda f: f.path.name)
def test_file(service, file: File, tmp_path):
    content = file.content()
    path = tmp_path / "file"
    path.write_bytes(content)
    keys = {key_by_pydicom(path), key_by_dcmtk(path)}
    answer = requests.post(f"{service.url}/studies", data=content, headers={"Content-Type": "application/dicom"}, timeout=60)
    objects = service.objects()
    if answer.status_code in (200, 202):
        assert list(objects.values()) == [content]
        assert set(objects) <= keys, answer.text
        kind = "stored"
    else:
        assert answer.status_code in (400, 409), answer.text
        assert objects == {}
        assert len(keys) > 1 or keys == {None}, f"both find {keys}: {answer.headers.get('Warning')}"
        kind = refusal(answer)
    outcomes[file.corpus][kind] += 1


def refusal(answer: requests.Response) -> str:
    """What the sender is told, without the element."""
    words = answer.headers.get("Warning", "").split('"')[-2]
    return re.sub(r"\([0-9A-F,]+\)", "…", words.removeprefix("instance 1: "))


def test_conformance_statement_has_the_counts():
    rows = "".join(f"| {corpus} | {sum(kinds.values())} | {kinds['stored']} | {'; '.join(f'{n}: {k}' for k, n in sorted(kinds.items()) if k != 'stored')} |\n"
                   for corpus, kinds in outcomes.items())
    assert rows in CONFORMANCE.read_text(), rows
