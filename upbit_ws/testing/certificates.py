"""Certificates made on the spot, good ones and bad ones. Needs the package `cryptography` (extra `test`)."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["CertificateAuthority"]

_DAY = datetime.timedelta(days=1)


class CertificateAuthority:
    """An authority of a test's own: its `client_context` trusts what its `server_context` shows."""

    def __init__(self) -> None:
        self._key = _new_key()
        self._certificate = _certificate(self._key, self._key, "upbit_ws test authority", None, expired=False)

    def client_context(self) -> ssl.SSLContext:
        """Verifies as any good client does, and trusts this authority only."""
        context = ssl.create_default_context(cadata=_pem(self._certificate).decode("ascii"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def server_context(self, *names: str, is_expired: bool = False, is_self_signed: bool = False) -> ssl.SSLContext:
        """Shows a certificate for `names` (host names or addresses; default: this machine's loopback names)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The `ssl` module loads keys from files only.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            path.write_bytes(self.server_pem(*names, is_expired=is_expired, is_self_signed=is_self_signed))
            context.load_cert_chain(path)
        return context

    def server_pem(self, *names: str, is_expired: bool = False, is_self_signed: bool = False) -> bytes:
        """A key and its certificate as text (PEM), for a server in another language. Arguments as above."""
        names = names or ("localhost", "127.0.0.1", "::1")
        key = _new_key()
        issuer = None if is_self_signed else self._certificate.subject
        signer = key if is_self_signed else self._key
        certificate = _certificate(key, signer, names[0], issuer, names=names, expired=is_expired)
        return _private_pem(key) + _pem(certificate)


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificate(
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    name: str,
    issuer: x509.Name | None,
    *,
    names: tuple[str, ...] = (),
    expired: bool,
) -> x509.Certificate:
    """A certificate of `key` for `names`, signed by `signer`; an authority where there are no names."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.timezone.utc)
    until = now - _DAY if expired else now + _DAY
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), False)
    else:
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(signer, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
