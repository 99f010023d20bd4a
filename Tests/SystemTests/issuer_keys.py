# SPDX-License-Identifier: Apache-2.0
"""Keys of an issuer of JSON Web Tokens, and what they sign."""

import base64
import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.example/"
MAKERS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Key:
    """A key of an issuer, and the tokens that it signs."""

    def __init__(self, algorithm: str, name: str | None = "k1", private=None):
        self.algorithm = algorithm
        self.name = name
        self.private = private or MAKERS[algorithm]()

    @property
    def public(self) -> dict:
        work = jwt.get_algorithm_by_name(self.algorithm)
        entry = work.to_jwk(self.private.public_key(), as_dict=True)
        name = {"kid": self.name} if self.name else {}
        return entry | {"alg": self.algorithm, "use": "sig"} | name

    def token(self, header: dict | None = None, algorithm: str | None = None, **changes) -> str:
        claims = {"iss": ISSUER, "aud": "penstock", "exp": time.time() + 600, "tenant": "acme"}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        fields = ({"kid": self.name} if self.name else {}) | (header or {})
        return jwt.encode(claims, self.private, algorithm or self.algorithm, headers=fields)


def key_set(*keys: Key) -> str:
    return json.dumps({"keys": [key.public for key in keys]})


def spelled(data: bytes | dict) -> str:
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
