"""Images, films and documents as bulkdata of metadata that have no Image Pixel attributes (PS3.18 Table 10.5.2-1)."""

import io
import json
import subprocess

import numpy
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut

from compare import complaints, is_file_format, padded
from instances import document, secondary_capture, video, with_bulkdata
from request import JSON, Part, store

PIXEL_DATA = "7FE00010"


def stored(service, answer, tmp_path) -> pydicom.Dataset:
    """The one instance that was stored, after dcmtk and dciodvfy found nothing wrong with it."""
    assert answer.status_code == 200, answer.text
    (data,) = service.objects().values()
    built = tmp_path / "built.dcm"
    built.write_bytes(data)
    assert is_file_format(built)
    assert complaints(built) == {}
    return pydicom.dcmread(io.BytesIO(data))


def post(service, dataset, vr, media_type, data, tag=PIXEL_DATA, **options):
    model = with_bulkdata(dataset, tag, "bulk", vr)
    return store(service, [Part(JSON, json.dumps([model]).encode()), Part(media_type, data, "bulk")], **options)


def picture(mode: str) -> Image.Image:
    """A synthetic picture of 33 × 20 pixels: odd numbers of bytes."""
    red = numpy.arange(33 * 20, dtype=numpy.uint16).reshape(20, 33) % 256
    rgb = numpy.stack([red, red[::-1], red[:, ::-1]], axis=-1).astype(numpy.uint8)
    if mode == "I;16":
        return Image.fromarray((red * 257).astype(numpy.uint16))
    return Image.fromarray(rgb).convert(mode)


def encoded(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def colors(dataset: pydicom.Dataset) -> numpy.ndarray:
    """Pixels as a viewer would show them."""
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return apply_color_lut(dataset.pixel_array, dataset)
    return dataset.pixel_array


@pytest.mark.parametrize("mode, shown", [("L", "L"), ("RGB", "RGB"), ("I;16", "I;16"), ("P", "RGB"), ("1", "L")])
@pytest.mark.parametrize("writer", ["pillow", "ffmpeg"])
def test_png(service, tmp_path, mode, shown, writer):
    image = picture(mode)
    data = encoded(image, format="PNG")
    if writer == "ffmpeg":
        data = subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "png_pipe", "-i", "-", "-flags", "+ildct", "-c:v", "png", "-f", "image2pipe", "-"],
            input=data, check=True, capture_output=True,
        ).stdout
        assert data[28] == 1  # interlaced, which Pillow does not write
    built = stored(service, post(service, secondary_capture(False), "OW", "image/png", data), tmp_path)
    assert built.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert numpy.array_equal(colors(built), numpy.asarray(image if mode == shown else image.convert(shown)))


@pytest.mark.parametrize("mode, photometric", [("L", "MONOCHROME2"), ("RGB", "YBR_FULL_422")])
@pytest.mark.parametrize("progressive, syntax", [(False, uid.JPEGBaseline8Bit), (True, "1.2.840.10008.1.2.4.55")])
def test_jpeg(service, tmp_path, mode, photometric, progressive, syntax):
    data = encoded(picture(mode), format="JPEG", progressive=progressive)
    built = stored(service, post(service, secondary_capture(True), "OB", "image/jpeg", data), tmp_path)
    assert built.file_meta.TransferSyntaxUID == syntax
    assert (built.Rows, built.Columns, built.PhotometricInterpretation) == (20, 33, photometric)
    (frame,) = generate_frames(built.PixelData, number_of_frames=1)
    assert frame == padded(data)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("boxes", [False, True])
def test_jpeg2000(service, tmp_path, mode, boxes):
    image = picture(mode)
    data = encoded(image, format="JPEG2000", no_jp2=not boxes, irreversible=False)
    built = stored(service, post(service, secondary_capture(False), "OB", "image/jp2", data), tmp_path)
    assert built.file_meta.TransferSyntaxUID == uid.JPEG2000Lossless
    (frame,) = generate_frames(built.PixelData, number_of_frames=1)
    assert frame == padded(data[data.index(b"\xff\x4f\xff\x51"):])  # PS3.5 §A.4.4: no JP2 header
    assert numpy.array_equal(built.pixel_array, numpy.asarray(image))


@pytest.mark.parametrize("chunked, lengths", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("size", [999, 1000])
def test_pdf(service, tmp_path, chunked, lengths, size):
    data = b"%PDF-1.4\n" + b"%" * (size - 15) + b"\n%%EOF"
    answer = post(service, document("Résumé"), "OB", "application/pdf", data, "00420011", chunked=chunked, lengths=lengths)
    built = stored(service, answer, tmp_path)
    assert built.EncapsulatedDocument == padded(data)
    assert (built.DocumentTitle, built.PatientName) == ("Résumé", "Tést^Pätient")


@pytest.mark.parametrize(
    "name, media_type, syntax, options",
    [
        ("film.mp4", "video/mp4", uid.MPEG4HP41, ["-c:v", "libx264", "-profile:v", "high", "-level:v", "4.1"]),
        ("film.mpg", "video/mpeg", uid.MPEG2MPML, ["-c:v", "mpeg2video"]),
    ],
    ids=["mp4", "mpeg2"],
)
def test_video(service, tmp_path, name, media_type, syntax, options):
    film = tmp_path / name
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=1", "-pix_fmt", "yuv420p", *options, film], check=True
    )
    data = film.read_bytes()
    metadata = video()
    if media_type == "video/mpeg":  # which does not say how long it is
        metadata.NumberOfFrames, metadata.FrameTime, metadata.FrameIncrementPointer = 25, 40, 0x00181063
    built = stored(service, post(service, metadata, "OB", media_type, data), tmp_path)
    assert built.file_meta.TransferSyntaxUID == syntax
    assert (built.Rows, built.Columns, built.SamplesPerPixel, built.PhotometricInterpretation) == (240, 320, 3, "YBR_PARTIAL_420")
    assert built.NumberOfFrames == 25
    assert b"".join(generate_frames(built.PixelData, number_of_frames=1)) == padded(data)
