"""WeCom's part in the bench of the callback: `python -m tests.bench.load ORDER`, a process of its own, prints JSON.

ORDER is the JSON of `Order`. All callbacks are sealed before the first is sent. With a rate they leave at fixed
instants, and a latency counts from the instant at which its callback should have left: a daemon that falls behind
cannot slow its own measure down. Without one every connection sends as fast as it is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass
from statistics import quantiles

from sopd.crypto import CallbackCrypto
from tests.bench.filling import MEMBERS

CORP, TOKEN, AES_KEY = "wwbench", "bench", "A" * 43
CONNECTIONS = 256
CREATED = 1_795_000_000


@dataclass(frozen=True)
class Order:
    """`count` callbacks to this port, `rate` a second; 0 is as fast as they are answered. `mark` makes them unlike."""

    port: int
    rate: int
    count: int
    mark: int


@dataclass(frozen=True)
class Heard:
    """What came back: how many 200s, how many other answers, over how long, and how late (milliseconds).

    `sender_p99_ms`: how late callbacks left by this process's own fault, though a connection was free. It is part of
    the latencies: where it is not small, the machine had no time for the sender.
    """

    accepted: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    sender_p99_ms: float


def main(order: Order) -> Heard:
    """Seal, send, sum up."""
    requests = sealed(order)
    return asyncio.run(_send(order, requests))


def sealed(order: Order) -> list[bytes]:
    """The whole HTTP requests: edited contacts, each its own event."""
    crypto = CallbackCrypto(TOKEN, AES_KEY, CORP)
    return [_request(crypto, order, n) for n in range(1, order.count + 1)]


def _request(crypto: CallbackCrypto, order: Order, n: int) -> bytes:
    plain = (
        f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
        f"<CreateTime>{CREATED + order.mark}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        "<Event><![CDATA[change_external_contact]]></Event>"
        "<ChangeType><![CDATA[edit_external_contact]]></ChangeType>"
        f"<UserID><![CDATA[m-{1 + n % MEMBERS}]]></UserID>"
        f"<ExternalUserID><![CDATA[wmBENCH{n}]]></ExternalUserID></xml>"
    ).encode()
    body, signature = crypto.seal(plain, str(CREATED), str(n), n.to_bytes(16, "big"), agent_id="1000002")
    path = f"/wecom/callback?msg_signature={signature}&timestamp={CREATED}&nonce={n}"
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _send(order: Order, requests: list[bytes]) -> Heard:
    numbers = itertools.count()
    late: list[float] = []
    by_sender: list[float] = []
    statuses: list[bytes] = []
    streams = [await asyncio.open_connection("127.0.0.1", order.port) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (n := next(numbers)) < len(requests):
            free = time.perf_counter()
            leaves = begun + n / order.rate if order.rate else free
            await asyncio.sleep(max(leaves - free, 0))
            by_sender.append((time.perf_counter() - max(leaves, free)) * 1000)
            writer.write(requests[n])
            statuses.append(await _status(reader))
            late.append((time.perf_counter() - leaves) * 1000)
        writer.close()

    await asyncio.gather(*(one(*pair) for pair in streams))
    seconds = time.perf_counter() - begun
    accepted = statuses.count(b"200")
    cuts, sender = quantiles(late, n=100), quantiles(by_sender, n=100)
    return Heard(accepted, len(statuses) - accepted, seconds, cuts[49], cuts[98], max(late), sender[98])


async def _status(reader: asyncio.StreamReader) -> bytes:
    """The status of one answer, whose body is read too."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))
    return head.split(b" ", 2)[1]


if __name__ == "__main__":
    print(json.dumps(asdict(main(Order(**json.loads(sys.argv[1]))))))
