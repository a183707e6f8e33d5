"""Which image format octets are, by how they begin. Raster formats alone: an SVG is a document, not a picture. Pure."""

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"}
SHORTEST = 12


def media_type(octets: bytes) -> str | None:
    """What to call it; None for anything else, whatever its sender called it."""
    if len(octets) < SHORTEST:
        return None
    if octets.startswith(b"RIFF") and octets[8:12] == b"WEBP":
        return "image/webp"
    if octets[4:8] == b"ftyp":
        return _BRANDS.get(octets[8:12])
    return next((kind for signature, kind in _SIGNATURES if octets.startswith(signature)), None)
