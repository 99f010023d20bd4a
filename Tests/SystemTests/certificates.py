# SPDX-License-Identifier: Apache-2.0
"""Certificates of an authority that a test makes for itself."""

import pathlib
import ssl
import subprocess

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Makes certificates with a key of its own."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        openssl(
            *("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.certificate),
            *("-subj", f"/CN={name}", "-days", "2"),
        )

    def issue(
        self, name: str, alternative: str | None, days: int = 30
    ) -> tuple[pathlib.Path, pathlib.Path]:
        """A certificate for that, and its key; without alternative names the name is common."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        made, extra = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        extra.write_text(f"subjectAltName={alternative}\n" if alternative else "")
        openssl(
            *("req", "-new", *CURVE, "-keyout", key, "-out", request), *("-subj", f"/CN={name}")
        )
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key),
            *("-CAcreateserial", "-out", made, "-days", str(days), "-extfile", extra),
        )
        return made, key

    def pair(self, name: str, alternative: str | None, days: int = 30) -> dict[str, str]:
        """The same as the configuration names it."""
        certificate, key = self.issue(name, alternative, days)
        return {"certificate": str(certificate), "key": str(key)}

    def trusting(self, **identity: str) -> ssl.SSLContext:
        """What a client goes by that trusts this authority; `identity`: its own certificate."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if identity:
            context.load_cert_chain(identity["certificate"], identity["key"])
        return context

    def serving(self, clients: bool = False, **identity: str) -> ssl.SSLContext:
        """What a server goes by; with `clients` it wants their certificates."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity["certificate"], identity["key"])
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(str(self.certificate))
        return context


def openssl(*words: object) -> str:
    """Runs the command-line tool."""
    done = subprocess.run(
        ["openssl", *map(str, words)], check=True, capture_output=True, timeout=20, text=True
    )
    return done.stdout
