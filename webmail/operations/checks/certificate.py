"""The certificate that the doors show: usable, for our name, not about to end."""

import datetime as dt
from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

from mailserver.assembly import certificate_of
from mailserver.tls import CertificateUnusable
from webmail.operations.findings import Finding, Patient, fine, problem, warning

SOON = dt.timedelta(days=14)
LOCAL_AUTHORITY = "Waypost local CA"


def check_certificate(patient: Patient) -> Iterator[Finding]:
    path = patient.config.tls.certificate
    if path is None:
        text = "There is no certificate (WAYPOST_TLS_CERTIFICATE): nobody can sign in over IMAP or SMTP"
        yield problem(text) if patient.is_production else warning(text)
        return
    try:
        certificate_of(patient.config)
    except CertificateUnusable as unusable:
        yield problem("{reason}", reason=unusable)
        return
    leaf, *_ = x509.load_pem_x509_certificates(path.read_bytes())
    left = leaf.not_valid_after_utc - dt.datetime.now(dt.UTC)
    if left < dt.timedelta():
        yield problem("The certificate {path} has expired", path=path)
    elif left < SOON:
        yield warning("The certificate {path} expires in {days} days", path=path, days=left.days)
    else:
        yield fine("The certificate is good for {days} more days", days=left.days)
    if not _is_for(leaf, patient.config.hostname):
        yield warning("The certificate is not for {hostname} (WAYPOST_HOSTNAME)", hostname=patient.config.hostname)
    if patient.is_production and _is_of_our_own_authority(leaf):
        yield problem("The certificate was made by Waypost for trying it out; no client of yours trusts it")


def _is_for(leaf: x509.Certificate, hostname: str) -> bool:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    parent = hostname.partition(".")[2]
    return bool(
        {hostname.lower(), f"*.{parent}".lower()} & {n.lower() for n in names.get_values_for_type(x509.DNSName)}
    )


def _is_of_our_own_authority(leaf: x509.Certificate) -> bool:
    issuers = leaf.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(issuer.value).startswith(LOCAL_AUTHORITY) for issuer in issuers)
