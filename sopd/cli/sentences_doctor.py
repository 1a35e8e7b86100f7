"""The Chinese of what `sopd doctor` says, by its English; a part of `sentences.SENTENCES`."""

from __future__ import annotations

COUNTED: dict[str, str] = {
    "task": "{n} 个任务", "customer": "{n} 位客户", "callback": "{n} 条回调", "relation": "{n} 个好友关系",
    "row": "{n} 行", "tag write": "{n} 次标签写入", "signal": "{n} 条信号", "wake-up": "{n} 条唤醒消息",
}  # fmt: skip
"""How many of something: in English the noun takes an s."""

DOCTOR: dict[str, str] = {
    # names of checks
    "settings": "设置",
    "calendar": "日历",
    "database": "数据库",
    "disk": "磁盘",
    "clock": "时钟",
    "broker": "消息队列",
    "sops": "客户SOP",
    "work": "处理进度",
    "inbox": "回调",
    "signals": "信号",
    "task": "任务",
    "set aside": "搁置",
    "back-off": "限流等待",
    "reconciliation": "对账",
    "reading": "读取",
    "job": "作业",
    "members": "成员",
    "tags": "标签",
    "wecom": "企业微信",
    "callback": "回调接口",
    "callback URL": "回调地址",
    "daemon": "服务",
    "wrong: {count}": "发现 {count} 个问题",
    "nothing is wrong": "一切正常",
    # settings, calendar, database, disk
    "{file}: {changed} differ from the defaults": "{file}:{changed} 项与默认值不同",
    "no file, environment only": "没有配置文件,仅环境变量",
    "correct it; `sopd init` writes a file with every setting": "请改正;`sopd init` 会生成包含全部设置的文件",
    "no days off and make-up days are known for {years}: plain weekdays are used":
        "没有 {years} 年的节假日与调休数据:暂按普通工作日处理",
    "update sopd, or write them into a file and name it in company.holidays_file":
        "升级 sopd,或写入文件并在 company.holidays_file 中指定",
    "{year} is known": "{year} 年数据齐全",
    "{place} can be written": "{place} 可写",
    "{folder} cannot be written": "{folder} 不可写",
    "SQLite keeps its log beside the file": "SQLite 的日志就在该文件旁边,需要写权限",
    "{free} MB are free on the disk of {folder}": "{folder} 所在磁盘只剩 {free} MB",
    "make room before it is full": "请在写满之前清理空间",
    # clocks
    "this machine's clock is {span} ahead of the database's": "本机时钟比数据库快 {span}",
    "this machine's clock is {span} behind the database's": "本机时钟比数据库慢 {span}",
    "let both follow the same time server; the database's time decides when something is due":
        "让两者使用同一时间服务器;到期与否以数据库时间为准",
    "time stands at {at}: a rehearsal's clock was left here": "时间停在 {at}:这里留有演练时钟",
    "this is the database of a rehearsal; use another one for the real WeCom":
        "这是演练用的数据库;连接真实企业微信请换一个",
    "database {at}, no skew": "数据库 {at},无偏差",
    "the database's clock is {span} ahead of WeCom's": "数据库时钟比企业微信快 {span}",
    "the database's clock is {span} behind WeCom's": "数据库时钟比企业微信慢 {span}",
    "let the machine of the database follow a time server; steps come early or late by as much":
        "让数据库所在机器使用时间服务器;推送会相应提前或推迟",
    # the broker
    "inside this process": "进程内",
    "memory:// wakes nobody outside a process, and PostgreSQL lets several work":
        "memory:// 只能唤醒本进程,而 PostgreSQL 允许多进程",
    "with one process this is fine; for more, set broker.url to redis://HOST:PORT/DATABASE":
        "单进程可忽略;多进程请把 broker.url 设为 redis://HOST:PORT/DATABASE",
    "Redis wakes several processes, but a SQLite file has exactly one daemon":
        "Redis 用于唤醒多个进程,但一个 SQLite 文件只能有一个服务",
    "set store.url to postgresql://USER@HOST/NAME, or broker.url to memory://":
        "请把 store.url 设为 postgresql://USER@HOST/NAME,或把 broker.url 设为 memory://",
    "Redis does not answer on {place}": "{place} 的 Redis 没有应答",
    "start it, or correct broker.url; until then tickers do all the work, a tick late":
        "请启动它或改正 broker.url;在此之前全部工作由 ticker 完成,晚一个节拍",
    "Redis answers on {place}, {wakeups} wait": "{place} 的 Redis 正常,{wakeups}在等待",
    "{wakeups} wait in Redis on {place}: nobody takes them": "{place} 的 Redis 中有 {wakeups}在等待,没有进程领取",
    "start workers: `sopd worker`; if they run, see their log": "请启动工作进程 `sopd worker`;若已在运行,请看其日志",
    # work
    "work is due since {age} ({loops})": "有工作已到期 {age} 仍未处理({loops})",
    "start the daemon: `sopd run`; if it runs, see its log": "请启动服务 `sopd run`;若已在运行,请看其日志",
    "nothing lags": "没有积压",
    "{callbacks} not handled, the oldest for {age}": "{callbacks}未处理,最早的已等待 {age}",
    "{callbacks} could not be handled, set aside": "{callbacks}无法处理,已搁置",
    "`sopd inbox list --state set_aside` shows why, `sopd inbox replay --set-aside` tries again":
        "用 `sopd inbox list --state set_aside` 查看原因,用 `sopd inbox replay --set-aside` 重试",
    "every callback is handled": "回调已全部处理",
    "{signals} not judged, the oldest for {age}": "{signals}尚未按规则判断,最早的已等待 {age}",
    "after a large import wait a little; else start the daemon, `sopd run`, or see its log":
        "大批导入后请稍候;否则请启动服务 `sopd run` 或查看其日志",
    "task {task} of {member} ({sop}, {step}, {customers}): {reason}":
        "任务 {task}:{member}({sop},{step},{customers}):{reason}",
    "its outcome is not known": "结果未知",
    "look at it in WeCom or ask {member}, then `sopd dispatch resolve {task} --sent` or --not-sent":
        "请在企业微信中查看或询问 {member},再执行 `sopd dispatch resolve {task} --sent` 或 --not-sent",
    "task {task} of {member}: WeCom's answer was lost {age} ago": "任务 {task}:{member},{age}前企业微信的应答丢失",
    "nothing to do: it is being looked up, and nothing is sent twice": "无需处理:正在核实,不会重复发送",
    "nothing to do: the same card is handed over once more, and nothing is sent twice":
        "无需处理:同一张卡片会再发一次,不会重复提醒",
    "a look-up takes ten minutes: WeCom does not answer it; see the check `wecom` and the log":
        "核实通常需要十分钟:企业微信一直没有应答;请看 `wecom` 一项和日志",
    "{tasks} could not be created yet, the oldest for {age}: {reason}":
        "{tasks}尚未创建成功,最早的已等待 {age}:{reason}",
    "they are tried again until they expire; see the check `wecom`": "过期之前会继续重试;请看 `wecom` 一项",
    "{kind} {key}, {at}: {reason}": "{kind} {key},{at}:{reason}",
    "the rest goes on without it; the log says more; `sopd db retry` tries again once the cause is mended":
        "其余记录不受影响;详情见日志;排除原因后用 `sopd db retry` 重试",
    "and {rows} more": "另有 {rows}",
    "{path} rests until {until}: {reason}": "{path} 暂停调用至 {until}:{reason}",
    "nothing to do: it goes on by itself; if it comes often, see what else calls WeCom with this app":
        "无需处理:到时自动继续;若经常出现,请检查还有谁在用该应用调用企业微信",
    "{count} of {relations} customers of {member} are missing since {since}: too many to believe":
        "{member} 的 {relations} 位客户中有 {count} 位自 {since} 起未出现:数量过多,暂不采信",
    "look in WeCom: if they are lost, `sopd member accept {member}`; else the next full read ends this":
        "请在企业微信核对:若确已流失,执行 `sopd member accept {member}`;否则下次全量读取后自动恢复",
    "{relations} could not be read, {times} times and more": "{relations}连续 {times} 次以上读取失败",
    "see the check `wecom` and the log": "请看 `wecom` 一项和日志",
    "{job} is {state}: {reason}": "{job} {state}:{reason}",
    "no reason given": "未说明原因",
    "see the log": "请看日志",
    "{unable} of {all} members cannot send to customers: they enter nobody":
        "{all} 位成员中有 {unable} 位无法给客户发送:其客户不会进入SOP",
    "give them customer contact in WeCom's console, or take them out of the app's scope":
        "请在企业微信管理后台为其开通客户联系,或移出应用可见范围",
    "SOP {sop} uses the tag {name}, which was deleted in WeCom": "SOP {sop} 使用的标签 {name} 已在企业微信中删除",
    "make it anew in WeCom, or change the definition; then `sopd sop apply` it again":
        "请在企业微信重建,或修改定义;然后重新 `sopd sop apply`",
    "{writes} failed within a day, the last {at}: {reason}": "一天内{writes}失败,最近一次 {at}:{reason}",
    "{sop} ({open} inside)": "{sop}({open} 个执行中)",
    "{sop} ({open} inside, paused)": "{sop}({open} 个执行中,已暂停)",
    "none is running": "没有运行中的SOP",
    # WeCom, callback, daemon
    "{base} gives a token and {members} members with customer contact":
        "{base} 可获取凭证,有 {members} 位成员开通了客户联系",
    "the app sees no member with customer contact": "应用看不到任何开通客户联系的成员",
    "in WeCom's console: widen the app's visible scope, and allow members under 客户联系 > 权限配置":
        "在管理后台扩大应用可见范围,并在 客户联系 > 权限配置 中开通成员",
    "{setting} is empty": "{setting} 未填写",
    "no daemon answers on {base}": "{base} 没有服务应答",
    "start it: `sopd run`, or systemctl start sopd": "请启动:`sopd run` 或 systemctl start sopd",
    "ready on {base}": "{base} 已就绪",
    "not ready: {reason}": "未就绪:{reason}",
    "see its log": "请看其日志",
    "the daemon on {base} has not ticked for {age}": "{base} 的服务已有 {age} 没有节拍",
    "it hangs: start it again, and keep its log for whoever looks for the cause":
        "服务卡住:请重启,并保留日志以便查找原因",
    "{url} does not answer: {error}": "{url} 没有应答:{error}",
    "check the address, the proxy and the firewall": "请检查地址、代理与防火墙",
    "{url} passes the URL check": "{url} 通过 URL 验证",
    "{url} answers {status} instead of the echo": "{url} 返回 {status},而不是验证内容",
    "the daemon there must have the same token, encoding_aes_key and corp_id, and answer the bare path":
        "该处服务的 token、encoding_aes_key 与 corp_id 必须一致,并直接响应该路径",
}  # fmt: skip
