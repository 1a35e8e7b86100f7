"""`sopd customer forget`: shows what there is of a person, asks, and has it erased."""

from __future__ import annotations

from sopd.cli import finding
from sopd.cli.asking import agree
from sopd.cli.desk import Desk
from sopd.cli.output import say
from sopd.commands import ForgetCustomer
from sopd.handlers import forgetting


def forget(desk: Desk, reference: str, dry_run: bool, yes: bool) -> None:
    """Count, ask, begin, and lead the job on as far as it comes now."""
    with desk.reading() as tx:
        external_userid = finding.customer(tx, reference).external_userid
    found = forgetting.counts(desk.app, external_userid)
    say(desk, "{customer}: contacts {relations}, runs {runs}, open ones {open_runs}, pushes under way {open_pushes}",
        customer=external_userid, relations=found.relations, runs=found.runs, open_runs=found.open_runs,
        open_pushes=found.open_pushes)  # fmt: skip
    say(desk, "  signals {signals}, audiences {audiences}", signals=found.signals, audiences=found.audiences)
    if dry_run:
        return
    agree(desk, yes, "Erase this person for good?")
    customer_id = forgetting.forget(desk.app, ForgetCustomer(external_userid, desk.person))
    while forgetting.run_once(desk.app):
        pass
    if forgetting.is_over(desk.app, customer_id):
        say(desk, "erased; what is left is called {token}", token=forgetting.token_of(customer_id))
    else:
        say(desk, "nothing is sent any more; a running daemon erases the rest once WeCom has answered everything")
