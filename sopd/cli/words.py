"""English and Chinese words of the command line: headings, state names, channels, the sentences of its questions.

The Chinese terms are those of SPEC 2. Keys and states in JSON are never translated. Reasons have their texts in
`machines.reasons`; here they are only asked for. An English word without an entry shows as it is.
"""

from __future__ import annotations

from sopd.cli.instants import parts_of_span
from sopd.cli.sentences import SENTENCES
from sopd.cli.sentences_doctor import COUNTED

HEADINGS: dict[str, str] = {
    "id": "编号", "sop": "客户SOP", "key": "标识", "title": "名称", "kind": "类型", "state": "状态", "version": "版本",
    "step": "推送配置", "steps": "推送配置", "no": "序号", "channel": "渠道", "customer": "客户", "name": "姓名",
    "external_userid": "客户ID", "member": "成员", "userid": "成员ID", "entered_at": "进入时间", "due_at": "到期时间",
    "next_step": "下一步", "closed_at": "结束时间", "reason": "原因", "cause": "进入原因", "run_no": "第几次",
    "ended_by": "操作人", "open": "执行中", "ended": "已结束", "started_at": "启动时间", "paused_at": "暂停时间",
    "ended_at": "结束时间", "priority": "优先级", "members": "生效成员", "muted_at": "免打扰", "relations": "好友数",
    "tags": "标签", "began_at": "添加时间", "lost_at": "流失时间", "lost_by": "流失方式", "missing_at": "对账未见",
    "source": "来源", "add_way": "添加方式", "fired_at": "触发时间", "settled_at": "完结时间", "sent_at": "发送时间",
    "expires_at": "过期时间", "plan_at": "计划时间", "parked_at": "搁置时间", "waits_until": "等待至",
    "until_at": "等待至", "task": "任务", "task_state": "任务状态", "task_at": "下发时间", "mark": "标记",
    "size": "客户数", "send_at": "下发时间", "requested_at": "创建时间", "confirmed_at": "确认时间",
    "to_userid": "接收成员", "card_no": "第几张卡片",
    "act_at": "下次处理", "nags": "已提醒次数", "nag_at": "下次提醒", "by": "操作人",
    "attempts": "尝试次数", "reissue_of": "原任务", "event": "事件", "change_type": "变更类型", "fast": "加急",
    "received_at": "接收时间", "happened_at": "发生时间", "times": "次数", "handled_at": "处理时间",
    "enrollment": "执行", "push": "推送", "at": "时间", "what": "内容", "fix": "处理办法", "first_at": "首次",
    "last_at": "最近", "number": "版本号", "created_at": "发布时间", "created_by": "发布人", "source_name": "文件",
    "file": "文件", "changes": "变更", "applied": "已发布", "sent": "已发送", "skipped": "已跳过", "failed": "失败",
    "expired": "已过期", "cancelled": "已取消", "here": "停留客户", "text": "内容", "check": "检查", "verdict": "结论",
    "window": "时间窗", "place": "名额", "seen_at": "最近更新", "attributes": "属性", "may_send_at": "可发送时间",
    "entry": "进入条件", "early_end": "提前结束", "normal_end": "正常结束", "moment": "时间规则", "count": "数量",
    "now": "当前时间", "anchor": "起算日期", "anchor_at": "起算时间", "quota": "群发次数", "setting": "设置项",
    "value": "取值",
    "into": "转入执行", "chain": "流转链", "inherited": "进入时已成立", "in_scope": "可见范围",
    "can_send": "可发送", "held": "对账待确认", "read_at": "对账时间",
    "origin": "来源", "database": "数据库", "schema": "结构版本", "known": "程序版本", "missing": "待执行",
    "taken": "已接收", "repeated": "重复", "unknown": "未知客户", "ignored": "已忽略", "is_new": "首次接收",
    "ref": "外部编号", "scopes": "权限", "revoked_at": "吊销时间", "customers": "客户数", "imported_at": "导入时间",
    "audience": "人群包", "audiences": "人群包", "joined": "加入", "left": "移出", "stayed": "保留",
    "changed": "有变化", "crm_id": "CRM编号",
    "kept_since": "保留起始", "pruned_at": "清理时间", "table": "数据表", "rows": "行数",
    "phone": "手机号", "last_talk_at": "最近会话", "signal": "信号", "properties": "属性值",
}  # fmt: skip

STATES: dict[str, str] = {
    # a SOP
    "draft": "草稿", "initialising": "初始化中", "running": "运行中", "paused": "已暂停", "ended": "已结束",
    # a run
    "enrolled": "已进入", "settling": "收尾中", "normal_end": "正常结束", "early_end": "提前结束",
    "manual_end": "手动结束", "lost": "已流失", "stopped": "已停止", "merged": "已合并", "open": "执行中",
    # a push
    "due": "已到期", "waiting": "等待中", "planned": "已排期", "requested": "待成员确认", "confirmed": "成员已确认",
    "sent": "已发送", "failed": "失败", "skipped": "已跳过", "expired": "已过期", "cancelled": "已取消",
    "to come": "未到期", "never came": "未执行", "parked": "暂停搁置",
    "pruned": "已清理",
    # a task
    "sending": "下发中", "settled": "已完结", "uncertain": "待核实", "stopping": "停止中", "cancelling": "撤回中",
    "rereading": "结果核对中", "needs_operator": "需人工处理",
    # a card
    "handing": "卡片发送中", "unsure": "卡片待核实", "handed": "卡片待处理",
    # the rest
    "new": "待处理", "done": "已处理", "set_aside": "已搁置", "active": "正常", "half": "待客户确认",
    "event": "行为事件", "reply": "客户回复", "message": "成员消息",
    "pending": "待执行", "held": "待确认", "pushes": "推送",
    # what a preview looked at
    "ready": "可发送", "enrollment open": "执行状态", "sop running": "SOP状态", "handed over": "客户交接",
    "only_if": "本步条件", "muted": "免打扰", "owner able": "成员权限", "quiet hours": "免打扰时段",
    "once_per": "重复内容", "quota": "群发次数", "time": "时刻", "capacity": "发送批次",
    # a reminder
    "wanted": "待提醒", "asking": "提醒中", "doubtful": "结果未知", "refused": "被拒绝", "needless": "无需提醒",
}  # fmt: skip

KINDS: dict[str, str] = {
    "new_customer": "新客户SOP", "nurture": "客户培育SOP", "stage": "旅程阶段SOP", "group": "客户群SOP",
}  # fmt: skip

CHANNELS: dict[str, str] = {
    "welcome": "欢迎语", "mass_send": "群发", "remind": "提醒成员", "call": "电话任务", "moment": "朋友圈",
    "group_send": "客户群群发", "webhook": "Webhook",
}  # fmt: skip

CAUSES: dict[str, str] = {
    "rule": "满足进入条件", "initialised": "初始化",
    "added": "添加好友", "reconciliation": "对账发现", "resumed": "恢复时补入", "manual": "手动加入",
    "member": "成员删除", "customer": "客户删除", "transfer": "客户被继承",
}  # fmt: skip


CAUSES_OF = {"event": "event {name}", "flow": "flow from {name}"}
"""What stands before a colon in a stored cause, as the sentence that it makes."""


class Words:
    """Words in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    @property
    def is_chinese(self) -> bool:
        """Whether words are Chinese."""
        return self.language == "zh"

    def heading(self, key: str) -> str:
        """What stands above a column, or before a value."""
        if self.is_chinese:
            return HEADINGS.get(key, key)
        return key.removesuffix("_at").replace("_", " ")

    def state(self, name: str) -> str:
        """A state's name; a step's id stays as it is."""
        return STATES.get(name, name) if self.is_chinese else name.replace("_", " ")

    def kind(self, name: str) -> str:
        """The kind of a SOP."""
        return KINDS.get(name, name) if self.is_chinese else name.replace("_", " ")

    def channel(self, name: str) -> str:
        """A channel."""
        return CHANNELS.get(name, name) if self.is_chinese else name.replace("_", " ")

    def cause(self, name: str) -> str:
        """Why somebody entered or left."""
        kind, _, of = name.partition(":")
        if kind in CAUSES_OF and of:
            sentence = CAUSES_OF[kind]
            return self.say(sentence, name=of)
        return CAUSES.get(name, name) if self.is_chinese else name

    def reason(self, text: str | None) -> str:
        """A stored reason, short: as it is in English, its sentence in Chinese."""
        if not text or not self.is_chinese:
            return text or ""
        return self.sentence(text)

    def sentence(self, reason: str | None) -> str:
        """A stored reason as a sentence for people."""
        if not reason:
            return ""
        from machines.reasons import explain

        return explain(reason, "zh" if self.is_chinese else "en")

    def span(self, ms: int) -> str:
        """A length of time, roughly: `45 s`, `12 min`, `5 h`, `3 d`."""
        n, unit = parts_of_span(ms)
        return self.say(f"{{n}} {unit}", n=n)

    def counted(self, n: int, noun: str) -> str:
        """How many of something: `1 task`, `2 tasks`."""
        if self.is_chinese:
            return COUNTED[noun].format(n=n)
        return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

    def duration(self, written: str) -> str:
        """A length of time as definitions write it: `60d`, in Chinese `60天`."""
        unit = {"d": "天", "h": "小时", "m": "分钟"}.get(written[-1:])
        return f"{written[:-1]}{unit}" if self.is_chinese and unit else written

    def say(self, english: str, /, **values: object) -> str:
        """A sentence of `sentences`, filled in."""
        return (SENTENCES.get(english, english) if self.is_chinese else english).format(**values)
