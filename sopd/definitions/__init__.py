"""Definition files: read, explained, compared. Faults are `file:line:column: what is wrong, what is allowed` (SPEC 3).

`read` makes a `Document` of a file, `parse_sop` a `machines.sop.Sop` of a document. What a definition means is the
business of `machines.sop`; nothing here knows the store or WeCom.
"""

from __future__ import annotations

from sopd.definitions.differences import diff
from sopd.definitions.document import Document, key_position, position, read
from sopd.definitions.faults import DefinitionFaults, Fault
from sopd.definitions.lint import lint
from sopd.definitions.parsing import parse_sop, placed
from sopd.definitions.schema import json_schema
from sopd.definitions.tags import Binding, TagLibrary, bind

__all__ = [
    "Binding", "DefinitionFaults", "Document", "Fault", "TagLibrary", "bind", "diff", "json_schema", "key_position",
    "lint", "parse_sop", "placed", "position", "read",
]
