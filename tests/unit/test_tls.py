import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streaming.config import Refused
from streaming.tls import certificate_names, server_context


def made(folder: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate for DNS names, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(day).not_valid_after(day + datetime.timedelta(days=3650))
    )  # fmt: skip
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *pem))
    return files


def test_a_certificate_is_loaded_and_names_the_server(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "Box.example.org", "*.faces.example.org")
    assert server_context(certificate, key).minimum_version.name == "TLSv1_2"
    assert certificate_names(certificate) == {"box.example.org", "*.faces.example.org"}


def test_a_certificate_without_names_names_nothing(tmp_path: Path) -> None:
    assert certificate_names(made(tmp_path)[0]) == frozenset()


def test_what_is_no_certificate_is_refused_in_one_line(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    text = tmp_path / "text.pem"
    text.write_text("hello")
    other = tmp_path / "other"
    other.mkdir()
    for pair in ((text, key), (certificate, text), (tmp_path / "none.pem", key), (certificate, made(other)[1])):
        with pytest.raises(Refused) as refused:
            server_context(*pair)
        assert "\n" not in str(refused.value)
    for file in (text, tmp_path / "none.pem"):
        with pytest.raises(Refused):
            certificate_names(file)
