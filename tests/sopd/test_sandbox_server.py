"""The sandbox over HTTP on loopback: WeCom's paths, people by hand, faults, the account, a rehearsal's clock."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sopd.crypto import CallbackCrypto, parse_xml
from sopd.errors import ConfigError
from sopd.sandbox.clock import CoordinatedClock
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.server import CallbackDoor, SandboxServer, serve
from sopd.sandbox.stage import Stage
from sopd.sandbox.world import World
from tests.support.caller import DAY, NEW_YEAR

CRYPTO = CallbackCrypto("simtoken", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwsimcorp")


class Callback:
    """A real HTTP server that opens callbacks into a queue and answers URL checks."""

    def __init__(self) -> None:
        self.events: Queue[dict[str, str | None]] = Queue()
        events = self.events

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                xml = CRYPTO.open(asked["msg_signature"], asked["timestamp"], asked["nonce"], body)
                events.put({child.tag: child.text for child in parse_xml(xml)})
                self._answer(b"")

            def do_GET(self) -> None:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                fields = (asked["msg_signature"], asked["timestamp"], asked["nonce"], asked["echostr"])
                self._answer(CRYPTO.verify_url(*fields).encode())

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callback"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def callback() -> Iterator[Callback]:
    served = Callback()
    served.thread.start()
    yield served
    served.close()


@pytest.fixture
def sandbox(callback: Callback) -> Iterator[SandboxServer]:
    server = serve(World("s", now=NEW_YEAR), None, callback.url).start()
    yield server
    server.stop()


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, trust_env=False) as found:
        yield found


def _token(client: httpx.Client) -> str:
    query = {"corpid": "wwsimcorp", "corpsecret": "simsecret"}
    return str(client.get("/cgi-bin/gettoken", params=query).json()["access_token"])


def _do(client: httpx.Client, deed: str, **arguments: object) -> None:
    reply = client.post(f"/sandbox/people/{deed}", json=arguments)
    assert reply.status_code == 200, reply.text


def test_an_add_by_hand_reaches_the_callback_and_the_api(client: httpx.Client, callback: Callback) -> None:
    _do(client, "hire", userid="alice")
    _do(client, "add", member="alice", customer="wm1", state="expo2026")

    event = callback.events.get(timeout=20)

    assert (event["ChangeType"], event["State"]) == ("add_external_contact", "expo2026")
    query = {"access_token": _token(client), "userid": "alice"}
    assert client.get("/cgi-bin/externalcontact/list", params=query).json()["external_userid"] == ["wm1"]
    (row,) = client.get("/sandbox/account").json()["relations"]
    assert (row["member"], row["customer"], row["friends"]) == ("alice", "wm1", True)
    assert client.get("/sandbox/state").json()["friends"] == 1


def test_wrong_deeds_say_what_is_allowed(client: httpx.Client) -> None:
    for deed, arguments, told in [
        ("fly", {}, "deeds: hire, add"),
        ("add", {"member": "alice"}, "customer is missing"),
        ("add", {"member": "alice", "customer": "wm1", "colour": "red"}, "colour is unknown"),
        ("add", {"member": 7, "customer": "wm1"}, "member is of the wrong kind"),
        ("add", {"member": "alice", "customer": "wm1"}, "there is no member 'alice'"),
    ]:
        reply = client.post(f"/sandbox/people/{deed}", json=arguments)
        assert reply.status_code == 400
        assert told in reply.json()["error"]
    assert client.post("/sandbox/people/add", content=b"{").status_code == 400
    assert client.get("/sandbox/people").json()["tag"] == {"member": True, "customer": True, "path": True}


def test_unknown_paths_are_404_and_empty(client: httpx.Client) -> None:
    reply = client.post("/cgi-bin/externalcontact/stop_groupmsg_send")

    assert (reply.status_code, reply.content) == (404, b"")


def test_planned_faults_come_over_the_wire(client: httpx.Client) -> None:
    token = _token(client)
    path = "/cgi-bin/externalcontact/get_follow_user_list"
    for fault in (
        {"path": path, "kind": "drop", "after": True},
        {"path": path, "kind": "http_502"},
        {"path": path, "kind": "errcode", "errcode": 45009, "times": 2},
    ):
        assert client.post("/sandbox/faults", json=fault).status_code == 200

    with pytest.raises(httpx.TransportError):
        client.get(path, params={"access_token": token})
    assert client.get(path, params={"access_token": token}).status_code == 502
    assert client.get(path, params={"access_token": token}).json()["errcode"] == 45009
    assert len(client.get("/sandbox/faults").json()["planned"]) == 1
    assert client.delete("/sandbox/faults").json()["planned"] == []
    assert client.get(path, params={"access_token": token}).json()["errcode"] == 0
    assert client.post("/sandbox/faults", json={"path": path, "kind": "late"}).status_code == 400


def test_on_the_hosts_clock_nobody_may_coordinate(client: httpx.Client) -> None:
    assert client.post("/sandbox/clock/register", json={"name": "daemon"}).status_code == 404
    assert client.get("/sandbox/clock").status_code == 404
    assert client.get("/sandbox/state").json()["now"] > NEW_YEAR


def test_who_idles_waits_for_the_others_as_long_as_it_says(callback: Callback) -> None:
    world = World("s", now=NEW_YEAR)
    server = serve(world, None, callback.url, coordinated=True, until=NEW_YEAR + DAY).start()
    with httpx.Client(base_url=server.url, trust_env=False) as client, ThreadPoolExecutor(1) as beside:
        for name in ("ticker", "worker"):
            client.post("/sandbox/clock/register", json={"name": name})

        def report(name: str, patience_ms: int) -> int:
            said = {"name": name, "idle": True, "next_due": NEW_YEAR + 60_000, "epoch": 0, "patience_ms": patience_ms}
            return client.post("/sandbox/clock/report", json=said).json()["now"]

        assert report("ticker", 1) == NEW_YEAR  # nobody else has reported: answered when its patience ends
        report("worker", 0)
        waiting = beside.submit(report, "ticker", 30_000)
        while not waiting.done() and report("worker", 0) == NEW_YEAR:
            pass
        assert waiting.result(30) in (NEW_YEAR, NEW_YEAR + 60_000)
        assert server.clock.now() == NEW_YEAR + 60_000
    server.stop()


def test_the_url_check_goes_over_http(sandbox: SandboxServer, callback: Callback) -> None:
    door = CallbackDoor(callback.url)
    nowhere = CallbackDoor("http://127.0.0.1:9/callback")

    assert sandbox.stage.postman.check_url(door.check, NEW_YEAR)
    assert not sandbox.stage.postman.check_url(nowhere.check, NEW_YEAR)
    assert nowhere.deliver({}, b"") == 0
    door.close()
    nowhere.close()


def test_a_rehearsal_skips_a_month_of_life_and_delivers_everything(callback: Callback) -> None:
    world = World("s", now=NEW_YEAR)
    population = Population(world, Plan(customers_per_day=4, days=5, within_days=3))
    until = NEW_YEAR + 30 * DAY
    server = serve(world, population, callback.url, coordinated=True, until=until).start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        told = client.post("/sandbox/clock/register", json={"name": "daemon"}).json()
        assert told["now"] == NEW_YEAR
        report = {"name": "daemon", "idle": True, "next_due": None, "epoch": 0}
        while not told["finished"]:
            told = client.post("/sandbox/clock/report", json=report).json()
            assert told["failure"] is None
        counts = client.get("/sandbox/state").json()
        left = client.post("/sandbox/clock/deregister", json={"name": "daemon"}).json()
        gone = client.post("/sandbox/clock/report", json=report)
    server.stop()

    assert told["now"] == until
    assert counts["letters_waiting"] == counts["letters_lost"] == 0
    assert callback.events.qsize() == counts["deliveries"] > 20
    assert population.next_at() is None
    assert left["participants"] == []
    assert (gone.status_code, "register it first" in gone.json()["error"]) == (404, True)


def test_a_daemon_that_is_not_there_costs_letters_their_retries_only(callback: Callback) -> None:
    world = World("s", now=NEW_YEAR)
    population = Population(world, Plan(customers_per_day=2, days=1, chats=0.0))
    server = serve(
        world, population, "http://127.0.0.1:9/callback", coordinated=True, until=NEW_YEAR + 30 * DAY
    ).start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        told = client.post("/sandbox/clock/register", json={"name": "daemon"}).json()
        while not told["finished"]:
            report = {"name": "daemon", "idle": True, "next_due": None, "epoch": 0}
            told = client.post("/sandbox/clock/report", json=report).json()
    server.stop()

    assert len(world.mailbox.given_up) > 0
    assert all(letter.attempts == 4 for letter in world.mailbox.given_up)


def test_a_failure_of_the_sandbox_itself_is_told_to_everybody() -> None:
    def break_down(query: Mapping[str, str], body: bytes) -> int:
        raise RuntimeError("the post is broken")

    world = World("s", now=NEW_YEAR)
    world.hire("alice")
    world.customer_adds("alice", "wm1", now=NEW_YEAR)
    stage = Stage(world, deliver=break_down)
    server = SandboxServer(stage, CoordinatedClock(NEW_YEAR, stage.surroundings())).start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        told = client.get("/sandbox/clock").json()
        while told["failure"] is None:
            told = client.get("/sandbox/clock").json()
    server.stop()

    assert "the post is broken" in told["failure"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.test"])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ConfigError, match="loopback"):
        serve(World("s"), None, "http://127.0.0.1:9/callback", host=host)


def test_a_taken_port_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match=f"port {port}"):
            serve(World("s"), None, "http://127.0.0.1:9/callback", port=port)
