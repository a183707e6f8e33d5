"""Small documents, pictures and tables, made of nothing but a random generator."""

import datetime as dt
import math
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    filename: str
    maintype: str
    subtype: str
    octets: bytes


def make_attachment(filename: str, title: str, day: dt.datetime, chance: random.Random) -> Attachment:
    """What the name promises: .pdf, .png, .csv or .ics."""
    suffix = filename.rpartition(".")[2]
    match suffix:
        case "pdf":
            return Attachment(filename, "application", "pdf", _pdf(title, day, chance))
        case "png":
            return Attachment(filename, "image", "png", _chart(chance))
        case "csv":
            return Attachment(filename, "text", "csv", _readings(day, chance))
        case "ics":
            return Attachment(filename, "text", "calendar", _invitation(title, day, chance))
    raise ValueError(f"no way to make {filename}")


def _pdf(title: str, day: dt.datetime, chance: random.Random) -> bytes:
    """One page of lines (PDF 1.4). Its font has no Chinese, so other characters are left out."""
    items = [
        (f"Item {n + 1}", chance.randint(1, 40), chance.randint(900, 42000) / 100) for n in range(chance.randint(3, 9))
    ]
    rows = [f"{name:<10} {count:>6} x {price:>9.2f} {count * price:>12.2f}" for name, count, price in items]
    total = f"{'Total':<10} {'':>18} {sum(count * price for _, count, price in items):>12.2f}"
    lines = ["Demao Instruments", title, f"{day:%Y-%m-%d}", "", *rows, "", total]
    drawn = " ".join(f"({_pdf_text(line)}) Tj T*" for line in lines)
    page = f"BT /F1 11 Tf 16 TL 56 780 Td {drawn} ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    made = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(made)


def _pdf_text(text: str) -> str:
    plain = text.encode("ascii", "ignore").decode("ascii")
    return plain.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _chart(chance: random.Random, width: int = 480, height: int = 200) -> bytes:
    """Two curves on white as an 8-bit palette PNG."""
    rows = [bytearray(width) for _ in range(height)]
    for y in range(0, height, 40):
        rows[y][:] = b"\x01" * width
    for colour in (2, 3):
        level, phase = chance.uniform(60, 140), chance.uniform(0, 6)
        for x in range(width):
            level += chance.uniform(-1.5, 1.5)
            y = min(height - 3, max(2, int(level + 25 * math.sin(x / 40 + phase))))
            for thick in (0, 1):
                rows[y + thick][x] = colour
    pixels = zlib.compress(b"".join(b"\x00" + bytes(row) for row in rows), 9)
    palette = bytes((255, 255, 255, 225, 225, 225, 31, 119, 180, 214, 90, 40))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks: Sequence[tuple[bytes, bytes]] = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _readings(day: dt.datetime, chance: random.Random) -> bytes:
    lines = ["time,turbidity_ntu,temperature_c,supply_v"]
    turbidity, temperature = chance.uniform(2, 9), chance.uniform(6, 15)
    moment = day.replace(minute=0, second=0, microsecond=0) - dt.timedelta(days=7)
    for _ in range(chance.randint(200, 900)):
        turbidity = max(0.1, turbidity + chance.gauss(0, 0.2))
        temperature += chance.gauss(0, 0.05)
        lines.append(f"{moment:%Y-%m-%dT%H:%MZ},{turbidity:.2f},{temperature:.2f},{chance.gauss(12.4, 0.15):.2f}")
        moment += dt.timedelta(minutes=10)
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _invitation(title: str, day: dt.datetime, chance: random.Random) -> bytes:
    start = (day + dt.timedelta(days=chance.randint(3, 9))).replace(hour=9, minute=0)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Demao Instruments//Demo//EN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{chance.getrandbits(64):016x}@demo.test",
        f"DTSTAMP:{day:%Y%m%dT%H%M%SZ}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + dt.timedelta(hours=6):%Y%m%dT%H%M%SZ}",
        f"SUMMARY:{title}",
        "ORGANIZER:mailto:david.moore@demo.test",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")
