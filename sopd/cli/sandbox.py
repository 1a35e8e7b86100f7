"""`sopd sandbox`: WeCom imitated on this machine, for trying things out by hand on real time."""

from __future__ import annotations

import importlib.resources
import time

import click

from sopd.cli.desk import Desk
from sopd.cli.verbs import Verb, pass_desk

BOUGHT = "结果/已下单"
CALLBACK_PATH = "/wecom/callback"
CALLBACK = f"http://127.0.0.1:8080{CALLBACK_PATH}"


@click.command(
    "sandbox",
    cls=Verb,
    examples="""
    sopd sandbox
    sopd sandbox --members alice,bob --customers-per-day 200 --faults
    sopd sandbox --api-token "$(sopd token create people --scope events:write --scope messages:write)"
    curl -X POST localhost:8900/sandbox/people/add -d '{"member": "alice", "customer": "wmTRY1"}'
    """,
)
@click.option("--members", default="alice,bob,carol", show_default=True, help="User ids, with commas between.")
@click.option(
    "--customers-per-day", type=click.IntRange(0, 10_000), default=10, show_default=True, help="Who adds them each day."
)
@click.option("--seed", default="sopd", show_default=True, help="The same seed, the same people and faults.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="On loopback; 0: a free one."
)
@click.option("--callback", default=CALLBACK, show_default=True, help="Where your daemon's callback listens.")
@click.option(
    "--api-token", metavar="TOKEN", help="Report chats and orders to your daemon's API with this token."
)
@click.option("--faults", is_flag=True, help="Let some calls fail, as WeCom's do on a bad day.")
@pass_desk
def sandbox(
    desk: Desk, members: str, customers_per_day: int, seed: str, port: int, callback: str, api_token: str | None,
    faults: bool,
) -> None:
    """Imitate WeCom in the foreground, with people who add, tag, buy, delete and confirm, until Ctrl-C.

    It prints the settings a daemon needs to talk to it. Time is real; `sopd demo` is the one that skips.
    """
    from sopd import log
    from sopd.sandbox.config import SandboxConfig
    from sopd.sandbox.faults import BAD_DAY, Faults
    from sopd.sandbox.people import Plan, Population
    from sopd.sandbox.server import CompanyDoor, serve
    from sopd.sandbox.world import World

    log.configure("debug" if desk.debug else "error")
    userids = tuple(name.strip() for name in members.split(",") if name.strip())
    if not userids:
        raise click.BadParameter("name at least one member", param_hint="--members")
    now = time.time_ns() // 1_000_000
    world = World(seed, SandboxConfig(), now)
    for name in tags_of_examples():
        world.stock_tag(name, now=now)
    population = Population(world, Plan(members=userids, customers_per_day=customers_per_day, bought_tag=BOUGHT))
    company = CompanyDoor(callback.removesuffix(CALLBACK_PATH), api_token) if api_token else None
    server = serve(
        world, population, callback, port=port, faults=Faults(seed, BAD_DAY if faults else ()), company=company
    )
    click.echo(f"# put this into sopd.toml, then: sopd run\n{world.config.settings(server.url)}")
    click.echo(f"listening on {server.url}; what you can do: GET {server.url}/sandbox/people", err=True)
    server.run()


def tags_of_examples() -> list[str]:
    """The tags that the shipped SOPs name: they can be applied against the sandbox as they are."""
    from machines.sop import tag_names
    from sopd import definitions

    found: list[str] = []
    for file in sorted((importlib.resources.files("sopd") / "shipped" / "sops").iterdir(), key=lambda each: each.name):
        sop = definitions.parse_sop(definitions.read(file.read_bytes(), file.name))
        found += tag_names(sop)
    return list(dict.fromkeys(found))
