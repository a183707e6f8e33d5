"""The public pages as a browser gets them."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import AsyncClient


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> AsyncClient:
    for variable in ("WAYPOST_IMAP", "WAYPOST_SUBMISSION", "WAYPOST_SUBMISSIONS", "WAYPOST_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WAYPOST_HOSTNAME", "mail.demo.test")
    monkeypatch.setenv("WAYPOST_IMAPS", "0.0.0.0:20993")
    return AsyncClient()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: AsyncClient) -> x509.Certificate:
    """A CA file that, by a mistake, holds its private key too."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    ).sign(key, SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ca.pem").write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("WAYPOST_CA_FILE", str(tmp_path / "ca.pem"))
    return certificate


async def test_the_start_page_tells_how_to_connect(client: AsyncClient) -> None:
    response = await client.get("/")
    text = response.content.decode()
    assert response.status_code == 200
    assert "mail.demo.test" in text
    assert "20993" in text
    assert "SSL/TLS" in text


async def test_the_start_page_speaks_chinese_to_a_chinese_browser_and_offers_english(client: AsyncClient) -> None:
    response = await client.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert response.headers["Content-Language"] == "zh-Hans"
    assert "连接您的邮件程序" in response.content.decode()
    assert 'href="?language=en"' in response.content.decode()
    assert "Accept-Language" in response.headers["Vary"]


async def test_the_link_switches_the_language(client: AsyncClient) -> None:
    response = await client.get("/?language=en", headers={"Accept-Language": "zh-CN"})
    assert 'lang="en"' in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing/here", "/assets/waypost.css"])
async def test_every_answer_carries_the_security_headers(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_the_pages_hold_no_script_and_no_inline_style(client: AsyncClient) -> None:
    text = (await client.get("/")).content.decode()
    assert "<script" not in text
    assert "style=" not in text
    assert "<style" not in text


async def test_the_stylesheet_is_kept_by_browsers_under_an_address_that_changes_with_it(client: AsyncClient) -> None:
    text = (await client.get("/")).content.decode()
    address = text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
    response = await client.get(address)
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in response.headers["Cache-Control"]
    assert "?v=" in address


async def test_the_certificate_authority_is_offered_with_its_fingerprint_and_never_its_key(
    authority: x509.Certificate, client: AsyncClient
) -> None:
    fingerprint = authority.fingerprint(SHA256()).hex(":").upper()
    assert fingerprint in (await client.get("/")).content.decode().replace("<wbr>", "")
    response = await client.get("/ca.pem")
    assert response.headers["Content-Type"] == "application/x-x509-ca-cert"
    assert response.content == authority.public_bytes(Encoding.PEM)


async def test_without_an_own_authority_there_is_none_to_download(client: AsyncClient) -> None:
    assert (await client.get("/ca.pem")).status_code == 404
    assert "/ca.pem" not in (await client.get("/")).content.decode()


async def test_an_unknown_address_is_a_page_too(client: AsyncClient) -> None:
    response = await client.get("/nothing/here", headers={"Accept-Language": "zh"})
    assert response.status_code == 404
    assert "这个地址没有页面" in response.content.decode()


async def test_the_pages_are_only_read(client: AsyncClient) -> None:
    assert (await client.post("/")).status_code == 405
    assert (await client.head("/")).status_code == 200
