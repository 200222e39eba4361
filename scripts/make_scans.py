#!/usr/bin/env python3
"""Writes tests/extract/documents/scan.pdf: pictures of text, as scanners and faxes store them.

Five pages: grey JPEG, a fax (CCITT Group 4), bits under a PNG predictor, upside down, and a blank one;
beside it the text on them. Needs Pillow and the DejaVu fonts; the result is in the repository, so only a
change of it needs this.
"""

import io
import pathlib
import zlib

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"
TEXTS = [
    "The tenant keeps the stairs clean\nand pays the chimney sweep.",
    "This message was sent by telefax\non the second of February.",
    "Garden tools are stored in the shed\nbehind the apple tree.",
    "A page that went through the scanner\nthe wrong way round.",
    "",
]
# 200 dpi on a page of 432 by 216 points.
SIZE = (1200, 600)


def drawn(text, mode):
    picture = Image.new(mode, SIZE, 1 if mode == "1" else 255)
    font = ImageFont.truetype(FONT, 46)
    ImageDraw.Draw(picture).multiline_text((90, 120), text, fill=0, font=font, spacing=30)
    return picture


def jpeg(picture):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=40, optimize=True)
    return out.getvalue(), "/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode"


def fax(picture):
    out = io.BytesIO()
    picture.save(out, "TIFF", compression="group4", tiffinfo={278: SIZE[1]})
    tiff = Image.open(io.BytesIO(out.getvalue()))
    offsets, lengths = tiff.tag_v2[273], tiff.tag_v2[279]
    assert len(offsets) == 1, "one strip is wanted"
    data = out.getvalue()[offsets[0] : offsets[0] + lengths[0]]
    white_is_zero = tiff.tag_v2[262] == 0
    parameters = f"<< /K -1 /Columns {SIZE[0]} /Rows {SIZE[1]} /BlackIs1 {str(not white_is_zero).lower()} >>"
    return data, (
        f"/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms {parameters}"
    )


def bits(picture):
    width = (SIZE[0] + 7) // 8
    raw = picture.tobytes()
    rows, above = bytearray(), bytes(width)
    for start in range(0, len(raw), width):
        row = raw[start : start + width]
        rows.append(2)  # PNG's "up"
        rows += bytes((a - b) & 255 for a, b in zip(row, above))
        above = row
    parameters = f"<< /Predictor 15 /Colors 1 /BitsPerComponent 1 /Columns {SIZE[0]} >>"
    return zlib.compress(bytes(rows), 9), (
        f"/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /FlateDecode /DecodeParms {parameters}"
    )


def main():
    images = [
        jpeg(drawn(TEXTS[0], "L")),
        fax(drawn(TEXTS[1], "1")),
        bits(drawn(TEXTS[2], "1")),
        bits(drawn(TEXTS[3], "1").rotate(180)),
        bits(drawn(TEXTS[4], "1")),
    ]
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for data, entries in images:
        number = len(objects) + 1
        head = f"<< /Type /XObject /Subtype /Image /Width {SIZE[0]} /Height {SIZE[1]} {entries} /Length {len(data)} >>"
        objects.append(head.encode() + b"\nstream\n" + data + b"\nendstream")
        content = b"q 432 0 0 216 0 0 cm /P Do Q"
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 432 216] /Contents %d 0 R"
            b" /Resources << /XObject << /P %d 0 R >> >> >>" % (number + 1, number)
        )
        kids.append(b"%d 0 R" % (number + 2))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))

    out, offsets = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)

    folder = pathlib.Path(__file__).parent.parent / "tests/extract/documents"
    folder.mkdir(exist_ok=True)
    (folder / "scan.pdf").write_bytes(out)
    (folder / "scan.pdf.expected.txt").write_text("\n\n".join(filter(None, TEXTS)) + "\n")


main()
