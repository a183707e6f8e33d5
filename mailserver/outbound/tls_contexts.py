"""The two ways we ask for TLS: whatever the host has, and only if it proves its name (RFC 7435, RFC 8314)."""

import ssl
from pathlib import Path


def opportunistic() -> ssl.SSLContext:
    """Any certificate, and keys too weak for other purposes: the choice is between this and clear text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def verifying(ca_file: Path | None) -> ssl.SSLContext:
    """A certificate for the host's name, by the given authorities or the system's."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
