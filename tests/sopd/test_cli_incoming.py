"""`event`, `audience`, `token`, `customer import` on both databases: taken whole or not at all, faults by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sopd.handlers import tokens
from sopd.incoming.identities import phone_hash
from sopd.store import Store
from sopd.store.tables import Audit, Customer, Relation
from tests.support.factories import T0, add, all_rows, befriend
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403


@pytest.fixture
def town(store: Store) -> Store:
    """Mei, friend of alice and of bob, and Lan, friend of alice; the clock stands."""
    store.set_clock(T0)
    mei = befriend(store, "alice", "wmMei")
    befriend(store, "alice", "wmLan")
    with store.transaction() as tx:
        tx.run("update customer set name = '王小雨', crm_id = '42' where external_userid = 'wmMei'")
    befriend(store, "bob", "wmOther")
    add(store, Relation, member_id=all_rows(store, Relation, "member_id", order="id desc")[0][0],
        customer_id=mei.customer_id)  # fmt: skip
    return store


def write(shell: Shell, name: str, text: str | bytes) -> Path:
    path = shell.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def signals(store: Store) -> list[tuple]:
    with store.reading() as tx:
        return tx.rows("select s.ref, s.kind, s.name, c.external_userid, s.at, s.properties from signal s"
                       " join customer c on c.id = s.customer_id order by s.id")  # fmt: skip


# -- event send ------------------------------------------------------------------------------------------------------


def test_an_event_is_sent_by_hand_and_with_a_ref_only_once(shell: Shell, town: Store) -> None:
    words = ["event", "send", "order_paid", "--customer", "王小雨", "--prop", "amount:number=99.5",
             "--prop", "vip:truth=yes", "--at", "2h", "--ref", "ORDER-17"]  # fmt: skip

    first, second = shell.rows(*words), shell.objects(*words)

    assert first == [{"customer": "wmMei", "event": "order_paid", "ref": "ORDER-17", "is_new": "yes"}]
    assert second[0]["is_new"] is False
    assert signals(town) == [
        ("event/ORDER-17", "event", "order_paid", "wmMei", T0 - 7_200_000, '{"amount": 99.5, "vip": true}')
    ]
    assert "王小雨" in shell("--lang", "zh", "event", "send", "x", "--customer", "wmMei", "--format", "table").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--customer", "wmNobody"], 3, 'no customer "wmNobody"'),
        (["--customer", "wmMei", "--prop", "amount:money=9"], 2, "TYPE one of text, number, truth, date"),
        (["--customer", "wmMei", "--prop", "amount:number=nine"], 2, "is no number"),
        (["--customer", "wmMei", "--at", "2030-01-01"], 1, "lies in the future"),
        (["--customer", "wmMei", "--ref", "a b"], 2, "visible ASCII"),
    ],
)
def test_a_faulty_event_is_told_and_not_taken(
    shell: Shell, town: Store, words: list[str], code: int, said: str
) -> None:
    result = shell("event", "send", "order_paid", *words, code=code)

    assert said in result.stderr and signals(town) == []


# -- event import ----------------------------------------------------------------------------------------------------


def test_a_table_of_events_is_taken_once(shell: Shell, town: Store) -> None:
    file = write(
        shell, "orders.csv",
        "name,crm_id,external_userid,at,amount:number,shop\norder_paid,42,,2026-11-18T10:00,99,\n"
        "order_paid,,wmLan,2026-11-18T10:00:00+09:00,,南京西路\n",
    )  # fmt: skip

    first, again = shell.rows("event", "import", file), shell.rows("event", "import", file)

    assert first == [{"taken": "2", "repeated": "0", "unknown": "0", "ignored": "0"}]
    assert again == [{"taken": "0", "repeated": "2", "unknown": "0", "ignored": "0"}]
    expected = [("wmMei", '{"amount": 99}'), ("wmLan", '{"shop": "南京西路"}')]
    assert [(row[3], row[5]) for row in signals(town)] == expected
    assert signals(town)[0][4] - signals(town)[1][4] == 3_600_000


def test_a_table_saved_by_a_chinese_spreadsheet_is_read(shell: Shell, town: Store) -> None:
    text = "name\texternal_userid\tat\t门店\n下单\twmMei\t2026-11-18 10:00\t静安\n"
    file = write(shell, "orders.csv", text.encode("gb18030"))

    assert shell.rows("event", "import", file)[0]["taken"] == "1"
    assert signals(town)[0][2::3] == ("下单", '{"门店": "静安"}')


def test_one_bad_line_and_the_whole_file_is_not_taken(shell: Shell, town: Store) -> None:
    lines = [
        json.dumps({"ref": "a", "name": "x", "customer": "wmMei"}), "{broken",
        json.dumps({"name": "x", "customer": "wmMei"}),
        json.dumps({"ref": "b", "name": "x", "customer": {"crm_id": "43"}}), "[]", "",
        json.dumps({"ref": "c", "name": "x", "customer": "wmMei", "at": "2030-01-01T00:00"}),
    ]  # fmt: skip
    file = write(shell, "events.jsonl", "\n".join(lines))

    told = shell("event", "import", file, code=1).stderr.splitlines()

    assert [line.removeprefix(f"{file}:") for line in told] == [
        "2: is not JSON: Expecting property name enclosed in double quotes",
        "3: ref: is missing, and so is `at`: without both, a second import would count twice",
        "4: no customer has crm_id 43", "5: is no JSON object", "7: at: lies in the future",
        f"sopd: 5 faults in {file}; nothing was taken",
    ]  # fmt: skip
    assert signals(town) == []


def test_lines_of_strangers_are_left_out_if_that_is_wanted(shell: Shell, town: Store) -> None:
    text = "ref,name,external_userid\na,x,wmMei\nb,x,wmNobody\n"

    result = shell("event", "import", "-", "--skip-unknown", "--json", text=text)

    assert json.loads(result.stdout) == {"taken": 1, "repeated": 0, "unknown": 1, "ignored": 0}
    assert [row[0] for row in signals(town)] == ["event/a"]
    assert [row[0] for row in all_rows(town, Audit, "verb")] == [
        "event import"
    ]


def test_messages_are_taken_from_an_archive(shell: Shell, town: Store) -> None:
    record = {"msgid": "m1", "action": "send", "from": "wmMei", "tolist": ["alice"], "roomid": "", "msgtime": T0,
              "msgtype": "text", "text": {"content": "多少钱"}}  # fmt: skip
    own = {"from": "bob", "to": "wmMei", "at": "2026-11-18T09:00", "text": "hi"}
    lines = [record, own, {**record, "msgid": "m2", "roomid": "wr"}, {**record, "msgid": "m3", "from": "wbBOT"}]
    file = write(shell, "archive.jsonl", "\n".join(json.dumps(line) for line in lines))

    assert shell.rows("event", "import", file, "--messages") == [
        {"taken": "2", "repeated": "0", "unknown": "0", "ignored": "2"}
    ]
    assert [row[1] for row in signals(town)] == ["reply", "message"]


# -- customers and audiences -----------------------------------------------------------------------------------------


def test_attributes_are_imported_and_shown(shell: Shell, town: Store) -> None:
    file = write(shell, "crm.csv", "crm_id,phone,level,amount:number\n42,138 0013 8000,gold,99\n")

    assert shell.rows("customer", "import", file) == [{"customers": "1", "changed": "1", "unknown": "0"}]
    assert shell.rows("customer", "import", file) == [{"customers": "1", "changed": "0", "unknown": "0"}]
    shell("event", "send", "order_paid", "--customer", "wmMei", "--prop", "n:number=1")
    seen = shell.objects("customer", "show", "wmMei")[0]
    page = shell("customer", "show", "wmMei").stdout

    assert (seen["attributes"], seen["crm_id"], seen["phone"]) == ({"level": "gold", "amount": 99}, "42", True)
    told = [(one["signal"], one["name"], one["properties"]) for one in seen["signals"]]
    assert told == [("event", "order_paid", "n=1")]
    assert "level=gold" in page and "order_paid" in page and "13800138000" not in page + json.dumps(seen)
    assert all_rows(town, Customer, "phone_hash",
                    where="crm_id = '42'") == [(phone_hash("13800138000"),)]  # fmt: skip


def test_a_table_separated_by_semicolons_is_read(shell: Shell, town: Store) -> None:
    file = write(shell, "crm.csv", "external_userid;level;note\nwmMei;gold;a, b\n")

    shell("customer", "import", file)

    assert shell.objects("customer", "show", "wmMei")[0]["attributes"] == {"level": "gold", "note": "a, b"}


def test_a_workbook_is_named_as_what_it_is(shell: Shell, town: Store) -> None:
    file = write(shell, "crm.xlsx", b"PK\x03\x04" + bytes(60))

    told = shell("customer", "import", file, code=1).stderr

    assert f"{file}: is a workbook or an archive; save the sheet as CSV" in told


def test_of_very_many_faults_the_first_are_told_and_the_rest_counted(shell: Shell, town: Store) -> None:
    file = write(shell, "crm.csv", "external_userid,level\n" + "".join(f"wmX{n},gold\n" for n in range(5000)))

    told = shell("customer", "import", file, code=1).stderr.splitlines()

    assert told[199] == f"{file}:201: no customer has external_userid wmX199"
    assert told[200] == f"{file}: and 4800 more"
    assert told[201] == f"sopd: 5000 faults in {file}; nothing was taken"


def test_a_number_that_is_none_is_blamed_without_being_repeated(shell: Shell, town: Store) -> None:
    file = write(shell, "crm.csv", "external_userid,phone,amount:number,x:money\nwmMei,13800,nine,1\nwmNobody,,1,1\n")

    told = shell("customer", "import", file, code=1).stderr

    assert "13800," not in told and f"{file}:2: phone is no phone number" in told
    assert f"{file}:2: amount:number: is no number; write 100 or 9.5" in told
    assert f"{file}:1: column x:money: write NAME:TYPE" in told
    assert f"{file}:3: no customer has external_userid wmNobody" in told


def test_an_audience_is_imported_listed_and_shown(shell: Shell, town: Store) -> None:
    first = write(shell, "vip.txt", "wmMei\nwmLan\n")
    second = write(shell, "vip.csv", "name,crm_id\n王小雨,42\n")

    made = shell.rows("audience", "import", "vip", first)
    changed = shell.rows("audience", "import", "vip", second)
    kept = shell.rows("audience", "import", "vip", first, "--keep")

    empty = {"audience": "vip", "joined": "0", "left": "0", "stayed": "0", "unknown": "0"}
    assert made == [{**empty, "joined": "2"}]
    assert changed == [{**empty, "left": "1", "stayed": "1"}]
    assert kept == [{**empty, "joined": "1", "stayed": "1"}]
    assert [(row["name"], row["customers"]) for row in shell.rows("audience", "list")] == [("vip", "2")]
    assert [row["external_userid"] for row in shell.rows("audience", "show", "vip")] == ["wmLan", "wmMei"]
    assert shell.objects("customer", "show", "wmMei")[0]["audiences"] == ["vip"]


def test_a_list_that_names_nobody_empties_an_audience_only_after_a_yes(shell: Shell, town: Store) -> None:
    shell("audience", "import", "vip", write(shell, "vip.txt", "wmMei\nwmLan\n"))
    nobody = write(shell, "head.csv", "external_userid\n")

    asked = shell("audience", "import", "vip", nobody, code=1).stderr
    assert "names nobody. Take all 2 customers out of vip?" in asked
    assert shell.rows("audience", "import", "vip", nobody, "--keep")[0]["stayed"] == "2"
    assert shell.rows("audience", "import", "vip", nobody, "--yes")[0]["left"] == "2"


def test_an_audience_with_a_stranger_is_refused_whole(shell: Shell, town: Store) -> None:
    file = write(shell, "vip.txt", "wmMei\nwmNobody\n")

    told = shell("audience", "import", "vip", file, code=1).stderr

    assert f"{file}:2: no customer has external_userid wmNobody" in told
    assert shell.rows("audience", "list") == []
    assert shell.rows("audience", "import", "vip", file, "--skip-unknown")[0]["unknown"] == "1"
    assert 'did you mean vip?' in shell("audience", "show", "vipp", code=3).stderr
    assert "is no name of an audience" in shell("audience", "import", "VIP!", file, "--skip-unknown", code=1).stderr


def test_a_file_that_is_not_there_is_no_surprise(shell: Shell, town: Store) -> None:
    assert "there is no file" in shell("customer", "import", shell.folder / "nothing.csv", code=3).stderr
    assert "is no table" in shell("customer", "import", write(shell, "x.jsonl", "{}"), code=1).stderr
    assert "there must be one of" in shell("customer", "import", write(shell, "y.csv", "a,b\n1,2\n"), code=1).stderr


# -- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_then_only_its_name(shell: Shell, town: Store) -> None:
    secret = shell("token", "create", "crm", "--scope", "events:write").stdout.strip()
    other = shell.objects("token", "create", "erp", "--scope", "customers:write", "--scope", "events:write")[0]

    assert tokens.bearer(town, secret) == tokens.Bearer("crm", frozenset({"events:write"}))
    assert other["scopes"] == ["customers:write", "events:write"] and other["token"].startswith("sopd_")
    listed = shell("token", "list").stdout
    assert "crm" in listed and secret not in listed and tokens.hash_of(secret) not in listed
    shell("token", "revoke", "crm", "--yes")
    assert tokens.bearer(town, secret) is None
    assert shell.rows("token", "list")[1]["revoked_at"]


def test_a_token_that_does_not_exist_cannot_be_revoked(shell: Shell, town: Store) -> None:
    shell("token", "create", "crm", "--scope", "events:write")

    assert "did you mean crm?" in shell("token", "revoke", "cmr", "--yes", code=3).stderr
    assert "named" in shell("token", "create", "crm", "--scope", "events:write", code=1).stderr
    assert "nothing was changed" in shell("token", "revoke", "crm", code=1, text="n\n").stderr
