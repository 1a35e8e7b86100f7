"""SOPs: the definition language, its checks, and the program it is compiled into (SPEC 3-8).

The way of a definition: `Sop` (shape) -> `check` (contradictions) -> `not_run_yet` (before a start) ->
`compile_program` (for machines and shell). Reading files is the business of `sopd.definitions`.
"""

from __future__ import annotations

from machines.sop.checks import STATE_NAMES, check, rules_of
from machines.sop.content import CHANNELS, Attachment, ChannelName, files_of, kind_of
from machines.sop.definition import Sop, Step
from machines.sop.not_run_yet import not_run_yet
from machines.sop.program import (
    EndActions,
    Program,
    ProgramStep,
    Reenter,
    ReplyActions,
    compile_program,
    content_hash,
    tag_names,
    tags_of,
)
from machines.sop.step_checks import Problem

__all__ = [
    "CHANNELS", "STATE_NAMES", "Attachment", "ChannelName", "EndActions", "Problem", "Program", "ProgramStep",
    "Reenter", "ReplyActions", "Sop", "Step", "check", "compile_program", "content_hash", "files_of", "kind_of",
    "not_run_yet", "rules_of", "tag_names", "tags_of",
]
