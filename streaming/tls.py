"""The server's certificate: loaded for TLS, and read for the names that it may be called by."""

import ssl
from pathlib import Path

from cryptography import x509

from streaming.config import Refused


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A TLS 1.2+ context for serving.

    Raises:
        Refused: if the files cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else str(error).split("(_ssl", maxsplit=1)[0].strip()
        raise Refused(f"{certificate} and {key} do not make a certificate and its key in PEM ({reason})") from error
    return context


def certificate_names(certificate: Path) -> frozenset[str]:
    """The lower-case DNS names that a PEM certificate stands for; wildcards as they are written.

    Raises:
        Refused: if it is no certificate.
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    except (OSError, ValueError) as error:
        raise Refused(f"{certificate} is not a certificate in PEM") from error
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))
