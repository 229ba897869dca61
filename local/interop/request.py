"""Requests of metadata and bulkdata (PS3.18 §10.5.1.4), written byte by byte."""

import dataclasses

import requests

JSON = "application/dicom+json"
XML = "application/dicom+xml"


@dataclasses.dataclass
class Part:
    """One part of a multipart body. An empty location leaves Content-Location out."""

    type: str
    data: bytes
    location: str = ""

    def encode(self, boundary: str, length: bool) -> bytes:
        head = f"\r\n--{boundary}\r\nContent-Type: {self.type}\r\n"
        if self.location:
            head += f"Content-Location: {self.location}\r\n"
        if length:
            head += f"Content-Length: {len(self.data)}\r\n"
        return head.encode() + b"\r\n" + self.data


def store(service, parts: list[Part], *, lengths: bool = True, chunked: bool = False) -> requests.Response:
    """Posts parts, of which the first gives the type of the body; lengths: each part declares its own."""
    boundary = "a-boundary-of-the-interop-tests"
    encoded = [part.encode(boundary, lengths) for part in parts] + [f"\r\n--{boundary}--\r\n".encode()]
    kind = parts[0].type.split(";")[0]
    return requests.post(
        f"{service.url}/studies",
        data=iter(encoded) if chunked else b"".join(encoded),
        headers={"Content-Type": f'multipart/related; type="{kind}"; boundary={boundary}', "Accept": JSON},
        timeout=60,
    )
