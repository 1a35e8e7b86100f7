"""Limits of what customers are sent, and the identity of a content."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopd.wecom.content import (
    Attachment,
    File,
    Image,
    Link,
    MassSend,
    MiniProgram,
    Video,
    check_content,
    content_hash,
    wire,
)
from sopd.wecom.errors import ContentTooLong, InvalidContent

URL = "https://example.test/"
FULL = Link("t" * 128, URL + "u" * (2048 - len(URL)), URL + "p" * (2048 - len(URL)), "d" * 512)


def test_a_content_at_every_limit_is_accepted() -> None:
    check_content("/p", "é" * 2000, (FULL, MiniProgram("t" * 64, "M", "wx", "/p"), *[Video("M")] * 7))


@pytest.mark.parametrize(
    ("text", "attachments", "field", "size", "limit"),
    [
        ("é" * 2000 + "x", (), "text", 4001, 4000),
        ("x", (Video("M"),) * 10, "the list of attachments", 10, 9),
        ("x", (Link("é" * 65, URL),), "attachment 1 (link) title", 130, 128),
        ("x", (Video("M"), Link("t", URL + "u" * 2048)), "attachment 2 (link) url", 2069, 2048),
        ("x", (Link("t", URL, picurl=URL + "u" * 2048),), "attachment 1 (link) picurl", 2069, 2048),
        ("x", (Link("t", URL, desc="d" * 513),), "attachment 1 (link) desc", 513, 512),
        ("x", (MiniProgram("t" * 65, "M", "wx", "/p"),), "attachment 1 (miniprogram) title", 65, 64),
    ],
)
def test_what_is_too_long_is_named_with_its_size(
    text: str, attachments: tuple[Attachment, ...], field: str, size: int, limit: int
) -> None:
    with pytest.raises(ContentTooLong) as caught:
        check_content("/p", text, attachments)

    assert (caught.value.field, caught.value.size, caught.value.limit) == (field, size, limit)


@pytest.mark.parametrize(
    ("text", "attachments", "said"),
    [
        ("", (), "both empty"),
        (" \n", (), "both empty"),
        ("\ud800", (), "half of a pair"),
        ("x", (Image(),), "media_id or pic_url"),
        ("x", (Link("", URL),), "no title"),
        ("x", (Link("t", ""),), "no url"),
        ("x", (MiniProgram("t", "", "wx", "/p"),), "no pic_media_id"),
        ("x", (MiniProgram("t", "M", "wx", ""),), "no page"),
        ("x", (File(""),), "no media_id"),
    ],
)
def test_what_lacks_a_part_is_refused_by_name(text: str, attachments: tuple[Attachment, ...], said: str) -> None:
    with pytest.raises(InvalidContent, match=said):
        check_content("/p", text, attachments)


def echoed(attachment: Attachment) -> dict[str, Any]:
    """The attachment as WeCom's list shows it: empty fields filled in, media of another id, no pic_media_id."""
    form = wire(attachment)
    inner = {"picurl": "", "desc": "", "media_id": "other", **form[attachment.msgtype]}
    inner.pop("pic_media_id", None)
    return {"msgtype": attachment.msgtype, attachment.msgtype: {**inner, "media_id": "other"}}


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
ATTACHMENTS = st.lists(
    st.one_of(
        st.builds(Image, WORDS),
        st.builds(Link, WORDS, WORDS, WORDS, WORDS),
        st.builds(MiniProgram, WORDS, WORDS, WORDS, WORDS),
        st.builds(Video, WORDS),
        st.builds(File, WORDS),
    ),
    max_size=3,
)


@given(text=WORDS, attachments=ATTACHMENTS)
def test_a_content_read_back_has_the_identity_it_was_sent_with(text: str, attachments: list[Attachment]) -> None:
    assert content_hash(text, [echoed(each) for each in attachments]) == content_hash(text, attachments)


def test_line_ends_and_outer_blanks_do_not_make_another_content() -> None:
    assert content_hash(" Day 3\r\nHello\n") == content_hash("Day 3\nHello")


@pytest.mark.parametrize(
    "other",
    [
        ("Day 4", [Link("t", URL)]),
        ("Day 3", []),
        ("Day 3", [Link("t", URL + "x")]),
        ("Day 3", [Link("u", URL)]),
        ("Day 3", [Link("t", URL, desc="d")]),
        ("Day 3", [Link("t", URL), Video("M")]),
        ("Day 3", [Video("M"), Link("t", URL)]),
    ],
)
def test_another_text_link_kind_or_order_is_another_content(other: tuple[str, list[Attachment]]) -> None:
    assert content_hash(*other) != content_hash("Day 3", [Link("t", URL)])


def test_the_identity_never_changes_between_versions() -> None:
    """It is stored with dispatches that an upgraded daemon must still find in WeCom's list."""
    mini = MiniProgram("Shop", "M2", "wxapp", "/index")

    assert content_hash("第三天", [Link("Guide", URL), mini, Image("M1")]) == (
        "7aed600fb3330d172bfaf41d4d9f8b68c0ecdf68e7c805da3b45fd93e75ffdf1"
    )


def test_strange_attachments_in_wecoms_list_are_no_obstacle() -> None:
    assert content_hash("x", [{}]) != content_hash("x", [{"msgtype": "news", "news": {"a": 1}}])
    assert content_hash("x", [{"msgtype": "link"}]) == content_hash("x", [{"msgtype": "link", "link": None}])


def test_the_text_of_a_mass_send_stays_out_of_its_repr() -> None:
    assert "secret offer" not in repr(MassSend("alice", ("wm1",), "secret offer", (Link("secret offer", URL),)))
