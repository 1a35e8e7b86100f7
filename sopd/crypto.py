"""WeCom's callback protection: SHA-1 signature and AES-256-CBC envelope (WeCom 2.1-2.4).

The callback door opens pushes with it; the sandbox and the tests seal them. It knows nothing of events: what it returns
are the decrypted bytes. It never logs, and no error repeats a key, the token or the plaintext.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import NamedTuple
from xml.etree.ElementTree import XML, Element, ParseError

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sopd.errors import ConfigError, SopdError

#: A push is a few hundred bytes; the longest, a list of group members, some hundred kilobytes.
MAX_BODY_BYTES = 1024 * 1024

_BLOCK = 32  # WeCom pads to 32 bytes although AES blocks have 16, so library unpadders refuse its pads above 16


class CallbackRejected(SopdError):
    """A callback that is not accepted; it changes nothing."""


class BadSignature(CallbackRejected):
    """The signature does not belong to this body: another Token, or a body changed on the way."""


class BadEnvelope(CallbackRejected):
    """The body is not what WeCom sends: too large, not XML or JSON, a DTD, no cipher text, or broken inside."""


class BadPadding(CallbackRejected):
    """Decryption gave no valid padding: the EncodingAESKey is another one than WeCom's."""


class BadReceiver(CallbackRejected):
    """The push is meant for another enterprise."""


class Sealed(NamedTuple):
    """A push as WeCom sends it: the POST body and the `msg_signature` of the query."""

    body: bytes
    signature: str


class CallbackCrypto:
    """The keys of one callback URL; threads may share it. `receive_id` is the CorpID for a self-built app (WeCom 2.3).

    Raises ConfigError for a Token or EncodingAESKey that cannot have come from the admin console.
    """

    def __init__(self, token: str, encoding_aes_key: str, receive_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9]{1,32}", token):
            raise ConfigError("the callback Token must be 1 to 32 letters or digits", "copy it from the admin console")
        if not re.fullmatch(r"[A-Za-z0-9]{43}", encoding_aes_key):
            raise ConfigError(
                "the callback EncodingAESKey must be exactly 43 letters or digits", "copy it from the admin console"
            )
        if not receive_id:
            raise ConfigError("the CorpID is empty", "it stands in the admin console under My Company")
        self._token = token
        self._receive_id = receive_id.encode()
        self._key = base64.b64decode(encoding_aes_key + "=")

    def verify_url(self, msg_signature: str, timestamp: str, nonce: str, echostr: str) -> str:
        """Answer to the URL check (GET): the decrypted `echostr`, to be returned bare within 1 s (WeCom 2.1).

        `echostr` is taken as the web framework decoded it; a `+` that became a space is put back.
        """
        cipher_text = echostr.replace(" ", "+")
        self._check_signature(msg_signature, timestamp, nonce, cipher_text)
        try:
            return self._decrypt(cipher_text).decode()
        except UnicodeDecodeError:
            raise BadEnvelope("the decrypted echostr is not UTF-8") from None

    def open(self, msg_signature: str, timestamp: str, nonce: str, body: bytes) -> bytes:
        """Decrypted payload of a push (POST); takes an XML envelope or, told by its first byte, the JSON one (2.2)."""
        cipher_text = _cipher_text(body)
        self._check_signature(msg_signature, timestamp, nonce, cipher_text)
        return self._decrypt(cipher_text)

    def seal(
        self,
        plaintext: bytes,
        timestamp: str,
        nonce: str,
        random16: bytes,
        *,
        agent_id: str = "",
        as_json: bool = False,
    ) -> Sealed:
        """A push carrying `plaintext`, as WeCom would send it. `random16` are the 16 random bytes of WeCom 2.3."""
        cipher_text = self.encrypt(plaintext, random16)
        corp = self._receive_id.decode()
        if as_json:
            body = json.dumps({"tousername": corp, "encrypt": cipher_text, "agentid": agent_id})
        else:
            body = (
                f"<xml><ToUserName><![CDATA[{corp}]]></ToUserName><AgentID><![CDATA[{agent_id}]]></AgentID>"
                f"<Encrypt><![CDATA[{cipher_text}]]></Encrypt></xml>"
            )
        return Sealed(body.encode(), self.sign(timestamp, nonce, cipher_text))

    def sign(self, timestamp: str, nonce: str, cipher_text: str) -> str:
        """`msg_signature`: lower-case hex SHA-1 of the four values, sorted and joined without separator (WeCom 2.3)."""
        signed = "".join(sorted((self._token, timestamp, nonce, cipher_text)))
        return hashlib.sha1(signed.encode(errors="replace")).hexdigest()

    def encrypt(self, plaintext: bytes, random16: bytes) -> str:
        """Base64 cipher text of `plaintext` for this receiver; also the `echostr` of a URL check."""
        if len(random16) != 16:
            raise ValueError(f"random16 has {len(random16)} bytes, 16 are needed")
        inner = random16 + len(plaintext).to_bytes(4, "big") + plaintext + self._receive_id
        pad = _BLOCK - len(inner) % _BLOCK
        encryptor = self._cipher().encryptor()
        return base64.b64encode(encryptor.update(inner + bytes([pad]) * pad) + encryptor.finalize()).decode()

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))

    def _check_signature(self, given: str, timestamp: str, nonce: str, cipher_text: str) -> None:
        expected = self.sign(timestamp, nonce, cipher_text)
        if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
            raise BadSignature("the callback signature is wrong", "is the Token the one of the admin console?")

    def _decrypt(self, cipher_text: str) -> bytes:
        try:
            encrypted = base64.b64decode(cipher_text, validate=True)
        except (binascii.Error, ValueError):
            raise BadEnvelope("the cipher text is not Base64") from None
        if not encrypted or len(encrypted) % 16:
            raise BadEnvelope(f"the cipher text has {len(encrypted)} bytes, not a positive multiple of 16")
        decryptor = self._cipher().decryptor()
        return self._unpack(decryptor.update(encrypted) + decryptor.finalize())

    def _unpack(self, padded: bytes) -> bytes:
        """Message inside `16 random bytes, 4-byte length, message, receive id, padding` (WeCom 2.3)."""
        pad = padded[-1]
        if not 1 <= pad <= _BLOCK:
            raise BadPadding(f"padding of {pad}, allowed is 1 to {_BLOCK}", "is the EncodingAESKey the right one?")
        inner = padded[:-pad]
        length, rest = int.from_bytes(inner[16:20], "big"), inner[20:]
        if len(rest) < length:
            raise BadEnvelope(f"the decrypted message shall have {length} bytes, only {len(rest)} are there")
        if not hmac.compare_digest(rest[length:], self._receive_id):
            raise BadReceiver("the callback is meant for another enterprise", "compare the CorpID with the console's")
        return rest[:length]


def parse_xml(data: bytes) -> Element:
    """Root element of WeCom XML. A DTD or entity is refused before it is read; raises BadEnvelope.

    A DTD can only stand before the root element, so what begins with that has none: the parser in C may read it, which
    costs a tenth. All that WeCom sends begins so.
    """
    try:
        root: Element = XML(data) if data.startswith(b"<xml>") else fromstring(data, forbid_dtd=True)
        return root
    except DefusedXmlException:
        raise BadEnvelope("the XML has a DTD or entities, which WeCom never sends") from None
    except (ParseError, LookupError, ValueError) as fault:  # LookupError, ValueError: a made-up encoding
        raise BadEnvelope(f"the XML cannot be read: {fault}") from None


def _cipher_text(body: bytes) -> str:
    if len(body) > MAX_BODY_BYTES:
        raise BadEnvelope(f"the body has {len(body)} bytes, at most {MAX_BODY_BYTES} are read")
    found = _from_json(body) if body.lstrip()[:1] == b"{" else parse_xml(body).findtext("Encrypt")
    if not isinstance(found, str) or not found.strip():
        raise BadEnvelope("the envelope has no Encrypt field")
    return found.strip()


def _from_json(body: bytes) -> object:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        raise BadEnvelope("the JSON envelope cannot be read") from None
    return envelope.get("encrypt", envelope.get("Encrypt")) if isinstance(envelope, dict) else None
