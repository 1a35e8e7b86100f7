"""Every reason a push, an entry, a task or a command can end with: one constant, one English and one Chinese text.

The constant itself is stored in rows, counted and filtered by, and is plain English, so a table on a terminal reads
without a look-up; renaming one is a migration. Some take a detail (`same content via bob`): `with_detail` joins,
`explain` takes it apart again. Used by all machines and by every face that shows a reason; decides nothing.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]

# -- why a push is where it is (SPEC 5-7)
OVERTAKEN = "overtaken"
BEFORE_ENTRY = "before entry"
LATE = "late"
PAUSED = "paused"
CONDITION = "condition"
MUTED = "muted"
MEMBER_UNABLE = "member cannot send"
QUIET_HOURS = "quiet hours"
SAME_CONTENT = "same content via"
QUOTA = "quota"
CAPACITY = "capacity"
NOT_CONFIRMED = "not confirmed"
NOT_A_FRIEND = "not a friend"
NOT_REPORTED = "not reported"
NOT_SENT = "not sent"
WELCOME_USED_BY = "welcome used by"
WELCOME_USED = "welcome already used"
NO_WELCOME_CODE = "no welcome code"
WELCOME_EXPIRED = "welcome code expired"
SOP_PAUSED = "sop paused"
SOP_NOT_RUNNING = "sop not running"
ENROLLMENT_ENDED = "enrollment ended"
REISSUE = "re-issue"
TASK_CANCELLED = "task cancelled in WeCom"
REFUSED_BY_WECOM = "refused by WeCom"
RETRY = "retry"
OPERATOR = "by operator"
COULD_NOT_STOP = "could not stop"
TASK_OUT = "task is out"
HANDED_OVER = "handed over"
OWNER_MOVED = "owner"

# -- why a member is not nagged (D19)
TASK_NAGGED = "task nagged three times"
MEMBER_NAGGED = "member nagged three times today"

# -- why `push retry` is refused
ALREADY_SENT = "already sent"
LATER_STEP_FIRED = "a later step has fired"
NOT_OVER = "not over yet"
IN_DOUBT = "its task needs an operator"

# -- what a due step did, for the journal
FIRED = "fired"
WAITS_FOR_PUSH = "waits for the open push"
ON_REPLY = "on_reply"
WAITS_FOR_ANSWER = "waits for an answer"
ANSWERED = "answered"

# -- how an enrollment ends (SPEC 8)
NORMAL_END = "normal end"
EARLY_END = "early end"
MANUAL_END = "manual end"
LOST = "lost"
STOPPED = "stopped"
MERGED = "merged"

# -- why nobody entered (SPEC 4)
NOT_STARTED = "sop not started"
SOP_ENDED = "sop ended"
NOT_NEW = "not new"
INHERITED = "inherited"
OUT_OF_SCOPE = "member not in scope"
RULE_FALSE = "entry rule false"
AT_ITS_END = "already at its end"
INSIDE = "already inside"
NEVER_AGAIN = "re-entry never"
RUN_ENDED = "run has ended"
TOO_SOON = "re-entry too soon"
RULE_STILL_TRUE = "entry rule true since the last end"
NO_ANCHOR = "no date to count from"
UNKNOWN_SOP = "unknown sop"
NOT_NURTURE = "not a nurture sop"
CHAIN_TOO_LONG = "chain too long"
CHAIN_REPEATED = "already entered in this chain"

# -- what happened to a task (SPEC 7)
NOT_CREATED = "not created"
THROTTLED = "throttled"
DOUBTFUL = "answer lost"
UNEQUAL_RECIPIENTS = "unequal recipients"
LOOKUP_TIMEOUT = "recipients unreadable"
CANCEL_TIMEOUT = "cancellation stays busy"
CANCEL_REFUSED = "cancellation refused"
RESULTS_UNCLEAR = "results unclear"
WELCOME_UNKNOWN = "welcome unknown"
NOBODY = "nobody can be sent to"
EMPTIED = "no push left"

# -- what happened to a card of a member (SPEC 6: remind, call)
PUT_OFF = "put off"
REACHED = "reached"
NOT_REACHED = "not reached"
NOT_NEEDED = "not needed any more"
CARD_UNKNOWN = "card unknown"
PACE = "member's pace"


class Text(NamedTuple):
    """What a reason means, in both languages of the interface."""

    en: str
    zh: str


TEXTS: dict[str, Text] = {
    OVERTAKEN: Text("the next step fell due before this one was asked for", "下一步到期时本步尚未下发任务"),
    BEFORE_ENTRY: Text("its moment was past when the customer entered", "客户进入时该时刻已过"),
    LATE: Text("missed through downtime or lag, beyond the grace", "因系统停机或延迟错过,超出补发期限"),
    PAUSED: Text("its moment passed while the SOP was paused", "SOP暂停期间已过期"),
    CONDITION: Text("the step's condition was false", "不满足本步条件"),
    MUTED: Text("the customer is muted", "客户已设为免打扰"),
    MEMBER_UNABLE: Text("the member cannot send to customers now", "成员当前无法给客户发送"),
    QUIET_HOURS: Text("waiting for the end of quiet hours", "等待免打扰时段结束"),
    SAME_CONTENT: Text("the customer gets the same content through this member", "同一内容已由该成员发送给客户"),
    QUOTA: Text("the customer's mass-send quota is used up", "客户的群发次数已用完"),
    CAPACITY: Text("no sending slot was free before it expired", "过期前没有空闲的发送批次"),
    NOT_CONFIRMED: Text("the member did not confirm in time", "成员未在期限内确认发送"),
    NOT_A_FRIEND: Text("the customer is no longer a contact of the member", "客户已不是该成员的好友"),
    NOT_REPORTED: Text("confirmed, but WeCom reported no result within a day", "成员已确认,但企业微信一天内未返回结果"),
    NOT_SENT: Text("an operator found that it was not sent", "运营核实未发送"),
    WELCOME_USED_BY: Text("this SOP used the one welcome message", "欢迎语机会已被该SOP使用"),
    WELCOME_USED: Text("the welcome message had been used already", "欢迎语已被使用"),
    NO_WELCOME_CODE: Text("WeCom gave no welcome code", "企业微信未提供欢迎语凭证"),
    WELCOME_EXPIRED: Text("the 20 seconds of the welcome code were over", "欢迎语凭证20秒有效期已过"),
    SOP_PAUSED: Text("the SOP is paused", "SOP已暂停"),
    SOP_NOT_RUNNING: Text("the SOP is not running", "SOP未在运行"),
    ENROLLMENT_ENDED: Text("the customer's run had ended", "客户的执行已结束"),
    REISSUE: Text("its task was stopped for others and is issued again", "任务因其他客户结束而撤回,等待重新下发"),
    TASK_CANCELLED: Text("somebody cancelled the task in WeCom", "任务在企业微信中被取消"),
    REFUSED_BY_WECOM: Text("WeCom refused it", "企业微信拒绝"),
    RETRY: Text("an operator wants it tried again", "运营要求重试"),
    OPERATOR: Text("an operator cancelled the task", "运营取消了任务"),
    COULD_NOT_STOP: Text("sent after the end: the member had the task already", "结束后仍被发出:成员已持有任务"),
    TASK_OUT: Text("its task is out, WeCom's answer decides", "任务已下发,以企业微信结果为准"),
    HANDED_OVER: Text("waiting for the member who takes the customer over", "等待接手客户的成员"),
    OWNER_MOVED: Text("another member acts for the customer now", "已改由其他成员跟进该客户"),
    TASK_NAGGED: Text("the member was reminded of this task three times already", "该任务已提醒过成员三次"),
    MEMBER_NAGGED: Text("the member was reminded three times today already", "今天已提醒过该成员三次"),
    ALREADY_SENT: Text("it was sent", "已发送"),
    NOT_OVER: Text("it is on its way still", "推送尚未完结"),
    IN_DOUBT: Text("its task needs an operator: `sopd dispatch resolve`", "其任务需人工核实(`sopd dispatch resolve`)"),
    LATER_STEP_FIRED: Text("a later step has fired, and order is kept", "后续步骤已执行,不能打乱顺序"),
    FIRED: Text("the step's push was made", "已生成推送"),
    WAITS_FOR_PUSH: Text("the previous push must settle first", "等待上一步推送完结"),
    WAITS_FOR_ANSWER: Text("the next step waits for the customer's answer", "等待客户回复后进入下一步"),
    ANSWERED: Text("the customer answered, and the next step counts from that", "客户已回复,下一步从回复时起算"),
    ON_REPLY: Text("the customer's answer did what the step says", "客户的回复触发了本步的回复动作"),
    NORMAL_END: Text("every step is done", "全部步骤已完成"),
    EARLY_END: Text("the early-end rule became true", "满足提前结束条件"),
    MANUAL_END: Text("ended by an operator", "运营手动结束"),
    LOST: Text("the customer is lost", "客户已流失"),
    STOPPED: Text("the SOP was stopped", "SOP已停止"),
    MERGED: Text("joined a run that the new member has with the customer", "并入继承成员已有的执行"),
    NOT_STARTED: Text("the SOP has not been started", "SOP尚未启动"),
    SOP_ENDED: Text("the SOP has ended", "SOP已结束"),
    NOT_NEW: Text("the contact began before the SOP's start", "好友关系早于SOP启动"),
    INHERITED: Text("the customer was handed over, not added", "客户由继承而来,并非新添加"),
    OUT_OF_SCOPE: Text("the member is not among those of the SOP", "成员不在SOP生效范围内"),
    RULE_FALSE: Text("the entry rule is false", "不满足进入条件"),
    AT_ITS_END: Text("entry and early end are both true", "同时满足进入与提前结束条件"),
    INSIDE: Text("a run of this SOP is open already", "已在该SOP执行中"),
    NEVER_AGAIN: Text("was inside once, and re-entry is `never`", "曾经执行过,且不允许再次进入"),
    RUN_ENDED: Text("the run of this contact has ended, and only adding the member again starts another",
                    "该好友关系的执行已结束,重新添加成员后才会再次进入"),
    TOO_SOON: Text("the time between two runs is not over", "未到再次进入的间隔时间"),
    RULE_STILL_TRUE: Text("the entry rule has not been false since the last end", "上次结束后进入条件一直成立"),
    NO_ANCHOR: Text("the attribute that the steps count from holds no date", "用于计算时间的属性没有日期"),
    UNKNOWN_SOP: Text("there is no SOP of this name", "没有这个SOP"),
    NOT_NURTURE: Text("flows lead into nurture SOPs only", "只能流转到客户培育SOP"),
    CHAIN_TOO_LONG: Text("a chain of flows and tags reached its limit of hops", "流转与标签连锁次数已达上限"),
    CHAIN_REPEATED: Text("this chain has entered this SOP before", "同一连锁中已进入过该SOP"),
    NOT_CREATED: Text("the task was not created and is sent again", "任务未创建成功,将重新下发"),
    THROTTLED: Text("WeCom limits the rate, it is sent later", "企业微信限流,稍后下发"),
    DOUBTFUL: Text("the answer was lost, the task is looked up", "应答丢失,正在核实任务"),
    UNEQUAL_RECIPIENTS: Text("a like task with other recipients exists in WeCom", "存在收件人不一致的同类任务"),
    LOOKUP_TIMEOUT: Text("a like task's recipients could not be read", "同类任务的收件人无法读取"),
    CANCEL_TIMEOUT: Text("the task could not be cancelled within 10 minutes", "任务在10分钟内无法取消"),
    CANCEL_REFUSED: Text("WeCom refused to cancel the task", "企业微信拒绝取消任务"),
    RESULTS_UNCLEAR: Text("results after the cancellation are not clear", "取消后的结果不明确"),
    WELCOME_UNKNOWN: Text("nobody knows whether the welcome was sent", "无法确认欢迎语是否已发送"),
    NOBODY: Text("WeCom can send to none of the recipients", "任务中没有可发送的客户"),
    EMPTIED: Text("all its customers left it before it was sent", "下发前任务中的客户均已退出"),
    PUT_OFF: Text("the member put it off and is asked again", "成员选择稍后处理,将再次提醒"),
    REACHED: Text("the member reached the customer", "成员已联系上客户"),
    NOT_REACHED: Text("the member did not reach the customer", "成员未联系上客户"),
    NOT_NEEDED: Text("nobody is left for whom the card was", "卡片中已没有需要处理的客户"),
    CARD_UNKNOWN: Text("nobody knows whether the member got the card", "无法确认成员是否收到卡片"),
    PACE: Text("the member gets no more cards at once than WeCom delivers", "按企业微信的送达上限分批发给成员"),
}
# What happened, as details of an early end tell it, in Chinese; a part that fits none stays as it is.
_HAPPENED_ZH = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"a reply", "客户回复"),
        (r"a message of the member", "成员消息"),
        (r"the time has come", "时间条件成立"),
        (r"event (.+)", r"事件 \1"),
        (r"tag (.+) removed", r"标签 \1 被移除"),
        (r"tag (.+)", r"标签 \1"),
        (r"attribute (.+)", r"属性 \1"),
        (r"joined audience (.+)", r"加入人群包 \1"),
        (r"left audience (.+)", r"移出人群包 \1"),
        (r"contact with (.+) began", r"与 \1 成为好友"),
        (r"contact with (.+) ended", r"与 \1 解除好友"),
        (r"entered (.+)", r"进入SOP \1"),
        (r"left (.+)", r"离开SOP \1"),
    )
)
_HOP = re.compile(r"(.+) \(hop (\d+)\)")
_TAKES_DETAIL = (SAME_CONTENT, WELCOME_USED_BY, REFUSED_BY_WECOM, OWNER_MOVED)


def with_detail(reason: str, detail: object) -> str:
    """A reason with what it speaks of: `same content via bob`, `refused by WeCom 40096`."""
    return f"{reason} {detail}"


def family(reason: str) -> str:
    """The constant a stored reason belongs to, so that counts do not fall apart by detail. Unknown: itself.

    Details come after a blank (`same content via bob`) or after a colon (`early end: tag 已复购`).
    """
    before_colon = reason.partition(": ")[0]
    if before_colon in TEXTS:
        return before_colon
    return next((known for known in _TAKES_DETAIL if reason.startswith(f"{known} ")), reason)


def explain(reason: str, language: Language = "en") -> str:
    """A sentence for people; the detail, if any, follows after a colon. An unknown reason explains itself."""
    known = family(reason)
    text = TEXTS.get(known)
    if text is None:
        return reason
    sentence = text.zh if language == "zh" else text.en
    if known == reason:
        return sentence
    detail = reason[len(known) + 1 :].strip()
    if language == "zh" and known == EARLY_END:
        detail = ", ".join(_happened_in_chinese(part) for part in detail.split(", "))
    return f"{sentence}: {detail}"


def _happened_in_chinese(part: str) -> str:
    hop = _HOP.fullmatch(part)
    if hop:
        return f"{_happened_in_chinese(hop[1])} (第 {hop[2]} 跳)"
    return next((match.expand(zh) for pattern, zh in _HAPPENED_ZH if (match := pattern.fullmatch(part))), part)
