"""How many tasks a member gets on one day: the company's limit, and the preview's warning (D12), on both databases."""

from __future__ import annotations

from sopd.config import Limits
from sopd.handlers import preview
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import Rig, at, settings_for


def sop(key: str, priority: int = 40) -> tuple[str, str]:
    """A SOP of one mass send, for customers of the source of its own name."""
    text = f"""
sop: {key}
title: {key}
kind: new_customer
priority: {priority}
entry: {{when: {{source: [{key}]}}}}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: {key}}}
"""
    return f"{key}.yaml", text


def rig_of(store: Store, *sops: tuple[str, str], **sections: object) -> Rig:
    """A company of one member, with a customer for each SOP who has just added her."""
    start = at("2026-03-02 09:00")
    world = World("tasks", SandboxConfig(), start)
    world.hire("alice")
    rig = Rig(store, world, start, settings=settings_for(world.config, **sections))
    rig.publish(*sops)
    for number, (name, _) in enumerate(sops):
        world.customer_adds("alice", f"wm{number:02d}", now=start, state=name.removesuffix(".yaml"))
    rig.settle()
    return rig


def test_the_setting_limits_a_members_day_and_the_important_task_comes_first(store: Store) -> None:
    limits = Limits(tasks_per_member_day=2)
    rig = rig_of(store, sop("first"), sop("other"), sop("urgent", 80), limits=limits)
    rig.run_until(at("2026-03-04 12:00"))

    made = {task.content.text: task.created_at for task in rig.world.tasks.values()}
    tuesday, wednesday = at("2026-03-03 10:01"), at("2026-03-04 10:01")
    assert made["urgent"] == tuesday
    assert sorted(made.values()) == [tuesday, tuesday, wednesday]


def test_the_preview_tells_of_days_with_too_many_tasks(store: Store) -> None:
    rig = rig_of(store, *(sop(f"sop{number:02d}") for number in range(11)))
    with store.reading() as tx:
        relation_id = tx.value("select min(id) from relation")

    told = preview.preview(rig.app, "sop00", relation_id)

    assert [(f"{day}", count) for day, count in told.crowded] == [("2026-03-03", 11)]
