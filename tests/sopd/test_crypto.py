"""The callback crypto: vectors of WeCom 2.4, a foreign implementation in both directions, all that is refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.enterprise.crypto import WeChatCrypto

from sopd.crypto import (
    MAX_BODY_BYTES,
    BadEnvelope,
    BadPadding,
    BadReceiver,
    BadSignature,
    CallbackCrypto,
    CallbackRejected,
    parse_xml,
)
from sopd.errors import ConfigError

TOKEN, KEY, CORP = "simtoken", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwsimcorp"
AT, NONCE, RANDOM = "1767225600", "nonce1", b"0123456789abcdef"
CRYPTO = CallbackCrypto(TOKEN, KEY, CORP)

MESSAGE = (
    b"<xml><ToUserName><![CDATA[wwsimcorp]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
    b"<CreateTime>1767225600</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    b"<Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[edit_external_contact]]></ChangeType>"
    b"<UserID><![CDATA[alice]]></UserID><ExternalUserID><![CDATA[wmSIM0001]]></ExternalUserID></xml>"
)
CIPHER = (
    "4j/AuRx71kQlxVlzbpsMWDUgGrfYPZmake8W6+izmQ+sLhiLe8SK086D3xSHTlzLW+hTkmZ38D4NBoxLPC/M0gwqhriUu4XjKp3ZlEuc+AmlIevs5nx"
    "3WCDx/rZBza2da+comNdc8lVgrNu1c3gKXcxYYHrX6yLsdGPhqJx3BKMpxhC/q8qXbwPqxNSS5wUioBzFzDqsMzWaYu1FRnZXFnrQR2hr8JV0s0AU22"
    "jfN3tFSLteUmujNSwXboM5bHiz8Cnxchou7KiLubbpVmjm9iCdqoOHGiOt5uUaVKex7cXRc6UBPCa0NlQn0jWFTzVRPnU3fAtR/pGFWGJ9aWvbHcFXm"
    "0npe+lBDDCOQ0AI+PCI34LBJuTNuaYTPUp7xmTLgaNNcz18zEoCK08QPngW4cbwiW2TMi/XsDgX+pDLSgZIxb6u0IIMltV9+rEELb7Um/75hkyEyteL"
    "3eUm+dam416+eLBfcCJFtT95z9xMD6D7N3JdXnriW6j8nNfqa2/yVXdC3+hrojcdu9EvhJWL5gj8x/nw4vua/5nnNU4P4ZQ="
)
SIGNATURE = "51464f80e00ac34fdd6b56ce5015dc1bd6a68a94"


def envelope(cipher_text: str) -> bytes:
    return f"<xml><ToUserName>{CORP}</ToUserName><Encrypt><![CDATA[{cipher_text}]]></Encrypt></xml>".encode()


def opened(body: bytes, cipher_text: str, crypto: CallbackCrypto = CRYPTO) -> bytes:
    """Open `body` with the signature that belongs to `cipher_text`."""
    return crypto.open(CRYPTO.sign(AT, NONCE, cipher_text), AT, NONCE, body)


def raw_encrypted(padded: bytes) -> str:
    """Encrypt bytes as they are, so that a test chooses padding and length itself."""
    encryptor = CRYPTO._cipher().encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


# --- vectors --------------------------------------------------------------------------------------------------------


def test_the_url_check_of_the_vendors_documentation_is_answered() -> None:
    crypto = CallbackCrypto("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7")
    echostr = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
    signature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"

    assert crypto.verify_url(signature, "1409659589", "263014780", echostr) == "1616140317555161061"


def test_an_echostr_whose_plus_became_a_space_is_repaired() -> None:
    crypto = CallbackCrypto("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7")
    echostr = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp 4RPcs8TgAE7OaBO FZXvnaqQ=="
    signature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"

    assert crypto.verify_url(signature, "1409659589", "263014780", echostr) == "1616140317555161061"


def test_the_known_push_with_padding_above_sixteen_is_opened() -> None:
    assert CRYPTO.open(SIGNATURE, AT, NONCE, envelope(CIPHER)) == MESSAGE


def test_sealing_the_known_message_gives_the_known_cipher_text_and_signature() -> None:
    sealed = CRYPTO.seal(MESSAGE, AT, NONCE, RANDOM, agent_id="1000002")

    assert CRYPTO.encrypt(MESSAGE, RANDOM) == CIPHER
    assert sealed.signature == SIGNATURE
    assert sealed.body == (
        f"<xml><ToUserName><![CDATA[wwsimcorp]]></ToUserName><AgentID><![CDATA[1000002]]></AgentID>"
        f"<Encrypt><![CDATA[{CIPHER}]]></Encrypt></xml>"
    ).encode()


# --- a foreign implementation ---------------------------------------------------------------------------------------

KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=43, max_size=43)
RECEIVERS = st.text("wabcdef0123456789", min_size=1, max_size=24)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)


@given(key=KEYS, receiver=RECEIVERS, text=TEXTS, random16=st.binary(min_size=16, max_size=16))
def test_what_we_seal_the_foreign_implementation_opens(key: str, receiver: str, text: str, random16: bytes) -> None:
    sealed = CallbackCrypto(TOKEN, key, receiver).seal(text.encode(), AT, NONCE, random16)

    foreign = WeChatCrypto(TOKEN, key, receiver)
    assert foreign.decrypt_message(sealed.body, sealed.signature, AT, NONCE) == text


@given(key=KEYS, receiver=RECEIVERS, text=TEXTS)
def test_what_the_foreign_implementation_seals_we_open(key: str, receiver: str, text: str) -> None:
    body = WeChatCrypto(TOKEN, key, receiver).encrypt_message(text, NONCE, AT).encode()
    signature = parse_xml(body).findtext("MsgSignature") or ""

    assert CallbackCrypto(TOKEN, key, receiver).open(signature, AT, NONCE, body) == text.encode()


@pytest.mark.parametrize("length", range(64))
def test_every_pad_length_goes_through_both_implementations(length: int) -> None:
    text = "x" * length
    sealed = CRYPTO.seal(text.encode(), AT, NONCE, RANDOM)
    foreign = WeChatCrypto(TOKEN, KEY, CORP)

    assert foreign.decrypt_message(sealed.body, sealed.signature, AT, NONCE) == text
    body = foreign.encrypt_message(text, NONCE, AT).encode()
    assert CRYPTO.open(parse_xml(body).findtext("MsgSignature") or "", AT, NONCE, body) == text.encode()


def test_the_json_envelope_is_recognised_by_its_content() -> None:
    sealed = CRYPTO.seal(MESSAGE, AT, NONCE, RANDOM, as_json=True)

    assert json.loads(sealed.body)["tousername"] == CORP
    assert CRYPTO.open(sealed.signature, AT, NONCE, b" \n" + sealed.body) == MESSAGE


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "0" * 40, SIGNATURE.upper(), SIGNATURE[:-1], "签名", "\udcff"])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(BadSignature):
        CRYPTO.open(signature, AT, NONCE, envelope(CIPHER))


def test_a_signature_does_not_hold_for_another_timestamp_nonce_or_body() -> None:
    for at, nonce, body in [("1", NONCE, CIPHER), (AT, "n2", CIPHER), (AT, NONCE, CIPHER[4:])]:
        with pytest.raises(BadSignature):
            CRYPTO.open(SIGNATURE, at, nonce, envelope(body))


def test_a_push_for_another_enterprise_is_refused() -> None:
    sealed = CallbackCrypto(TOKEN, KEY, "wwother").seal(MESSAGE, AT, NONCE, RANDOM)

    with pytest.raises(BadReceiver):
        CRYPTO.open(sealed.signature, AT, NONCE, sealed.body)


@pytest.mark.parametrize("pad", [0, 33, 255])
def test_a_pad_outside_one_to_thirty_two_is_refused(pad: int) -> None:
    cipher_text = raw_encrypted(b"x" * 63 + bytes([pad]))

    with pytest.raises(BadPadding):
        opened(envelope(cipher_text), cipher_text)


def test_a_message_shorter_than_it_says_is_refused() -> None:
    cipher_text = raw_encrypted(RANDOM + (10**6).to_bytes(4, "big") + b"x" * 11 + b"\x01")

    with pytest.raises(BadEnvelope, match="shall have 1000000 bytes, only 11"):
        opened(envelope(cipher_text), cipher_text)


@pytest.mark.parametrize("cipher_text", ["AAAA", "not base64!", "é" * 16])
def test_a_cipher_text_that_cannot_be_one_is_refused(cipher_text: str) -> None:
    with pytest.raises(BadEnvelope):
        opened(envelope(cipher_text), cipher_text)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"<xml>",
        b"<xml></xml>",
        b"<xml><Encrypt>  </Encrypt></xml>",
        b"{",
        b"[1]",
        b"{}",
        b'{"encrypt": 5}',
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="made-up"?><xml/>',
        b"{" * 100_000,
        b'{"encrypt":' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(BadEnvelope):
        CRYPTO.open(SIGNATURE, AT, NONCE, body)


@pytest.mark.parametrize(
    "prolog",
    [
        b"<!DOCTYPE xml>",
        b'<!DOCTYPE xml [<!ENTITY a "b">]>',
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd">',
    ],
)
def test_a_dtd_is_refused_before_it_is_read(prolog: bytes) -> None:
    with pytest.raises(BadEnvelope, match="DTD"):
        CRYPTO.open(SIGNATURE, AT, NONCE, prolog + envelope(CIPHER))


def test_a_dtd_behind_the_beginning_of_the_root_is_no_xml() -> None:
    """What begins with the root is read by the faster parser: a DTD in it must be as impossible as the rule says."""
    bomb = b'<xml><!DOCTYPE xml [<!ENTITY a "b">]><Encrypt>&a;</Encrypt></xml>'

    with pytest.raises(BadEnvelope, match="cannot be read"):
        CRYPTO.open(SIGNATURE, AT, NONCE, bomb)


def test_an_oversized_body_is_refused_unread() -> None:
    with pytest.raises(BadEnvelope, match="at most"):
        CRYPTO.open(SIGNATURE, AT, NONCE, b"<xml>" + b" " * MAX_BODY_BYTES)


@given(noise=st.binary(min_size=0, max_size=160))
def test_no_signed_noise_gets_anything_but_a_refusal(noise: bytes) -> None:
    cipher_text = base64.b64encode(noise).decode()

    with pytest.raises(CallbackRejected):
        opened(envelope(cipher_text), cipher_text)


@pytest.mark.parametrize(
    ("token", "key", "corp"),
    [("", KEY, CORP), ("x" * 33, KEY, CORP), ("to ken", KEY, CORP), (TOKEN, KEY[:-1], CORP), (TOKEN, KEY + "A", CORP),
     (TOKEN, KEY[:-1] + "+", CORP), (TOKEN, KEY, "")],
)  # fmt: skip
def test_settings_that_the_console_cannot_have_given_are_refused(token: str, key: str, corp: str) -> None:
    with pytest.raises(ConfigError):
        CallbackCrypto(token, key, corp)


def test_neither_keys_nor_plaintext_show_in_errors_or_in_the_repr() -> None:
    shown = repr(CRYPTO)
    with pytest.raises(CallbackRejected) as caught:
        CRYPTO.open("0" * 40, AT, NONCE, envelope(CIPHER))

    for secret in (TOKEN, KEY, "alice"):
        assert secret not in shown + str(caught.value) + caught.value.hint
