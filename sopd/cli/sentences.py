"""The Chinese of the sentences that the command line says, by their English; names in braces are filled in.

A test holds every sentence said somewhere against this table, and the names in braces of both sides.
"""

from __future__ import annotations

from sopd.cli.sentences_doctor import DOCTOR

SENTENCES: dict[str, str] = {
    **DOCTOR,
    # answers and questions
    "nothing was changed": "未作任何更改",
    "nothing was changed; in a script, --yes answers the question": "未作任何更改;在脚本中请加 --yes",
    "nothing matches": "没有符合条件的记录",
    "more: add --before {id}, or --limit 0 for all": "还有更多:加 --before {id} 看下一页,或 --limit 0 看全部",
    "yes": "是",
    "no": "否",
    # init, db
    "{file} written": "已写入 {file}",
    "{file} exists and stays as it is": "{file} 已存在,保持不变",
    "{file} is up to date": "{file} 已是当前版本",
    "next: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload":
        "下一步:systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload",
    "then fill in [wecom] in {file} and the files in {folder}":
        "然后填写 {file} 中的 [wecom] 和 {folder} 下的各文件",
    "{place} is ready": "{place} 已就绪",
    "{place} is at the newest schema already": "{place} 已是最新结构",
    "next: fill in [wecom] in {file}, then `sopd doctor`; or see it all without WeCom: `sopd demo`":
        "下一步:在 {file} 中填写 [wecom],然后运行 `sopd doctor`;没有企业微信也可先看 `sopd demo`",
    "applied {name}": "已执行 {name}",
    "the database is at schema {number}": "数据库结构版本为 {number}",
    "nothing to do: the database is at schema {number}": "无需升级:数据库结构版本为 {number}",
    "{file}: schema {schema}, {rows} rows, {size} bytes": "{file}:结构版本 {schema},{rows} 行,{size} 字节",
    "{place}: schema {schema}, {rows} rows from {file}": "{place}:结构版本 {schema},已从 {file} 恢复 {rows} 行",
    "Replace everything in {place} by {file}?": "用 {file} 替换 {place} 中的全部数据?",
    "{customer}: contacts {relations}, runs {runs}, open ones {open_runs}, pushes under way {open_pushes}":
        "{customer}:好友 {relations},执行 {runs}(进行中 {open_runs}),未完结推送 {open_pushes}",
    "  signals {signals}, audiences {audiences}": "  信号 {signals},人群包 {audiences}",
    "Erase this person for good?": "永久抹除此人的数据?",
    "erased; what is left is called {token}": "已抹除,仅保留代号 {token}",
    "nothing is sent any more; a running daemon erases the rest once WeCom has answered everything":
        "不再发送任何内容;待企业微信返回在途结果后,运行中的服务会抹除其余数据",
    "the settings keep all of it for ever; --older-than says otherwise":
        "按设置全部永久保留;如需清理请用 --older-than 指定",
    "{kind}: rows of {table}: {rows}": "{kind}:{table} 表 {rows} 行",
    "Delete {rows} rows for good?": "永久删除 {rows} 行?",
    "pruning": "正在清理",
    "rows of {table} deleted: {rows}": "已从 {table} 表删除 {rows} 行",
    "nothing is set aside": "没有被搁置的记录",
    "{kind}: {number} to be tried again": "{kind}:{number} 条将重新处理",
    # events, audiences, tokens
    "importing": "正在导入",
    "{event} of {customer} is taken": "已接收 {customer} 的事件 {event}",
    "{event} of {customer} had been taken before": "{customer} 的事件 {event} 此前已接收",
    "taken: {taken}, known before: {repeated}, left out: {unknown}":
        "已接收:{taken},此前已有:{repeated},未处理:{unknown}",
    "a running daemon lets rules see them within a second": "运行中的服务会在一秒内按规则处理",
    "{audience}: joined {joined}, left {left}, stayed {stayed}, left out {unknown}":
        "{audience}:加入 {joined},移出 {left},保留 {stayed},未知客户 {unknown}",
    "customers: {customers}, changed: {changed}, left out: {unknown}":
        "客户:{customers},有变化:{changed},未知客户:{unknown}",
    "keep it: it is not shown again, only a hash of it is kept": "请妥善保存:令牌只显示这一次,系统只保留其哈希值",
    "Revoke the token {name}? Whoever uses it is let in no more.": "吊销令牌 {name}?使用它的系统将无法再接入。",
    "the token {name} is revoked": "令牌 {name} 已吊销",
    "Latest signals": "最近信号",
    # preview of a SOP
    "{member} would have {count} tasks on {day}: rarely are all of so many confirmed":
        "{member} 在 {day} 将有 {count} 个任务:任务过多时往往确认不完",
    # tasks and pushes by hand
    "Reminders": "提醒记录",
    "{member} is being reminded of task {task}": "正在提醒 {member} 处理任务 {task}",
    "Withdraw task {task}?": "撤回任务 {task}?",
    "task {task} is withdrawn, pushes: {count}": "任务 {task} 已撤回,涉及推送 {count} 条",
    "task {task} is being withdrawn, pushes: {count}; what was confirmed before is sent":
        "任务 {task} 正在撤回,涉及推送 {count} 条;此前已确认的仍会发出",
    "push {id} is tried again": "推送 {id} 将重试",
    "push {id} is not tried again: {reason}": "推送 {id} 不能重试:{reason}",
    # sop files
    "warning": "警告",
    "not run yet": "本版本暂不支持运行",
    "{file}: {sop} has no fault, steps: {steps}": "{file}:{sop} 没有错误,共 {steps} 步",
    "{sop} has not been applied yet: everything in {file} is new": "{sop} 尚未发布:{file} 中全部为新内容",
    "{sop}: nothing would change against version {number}": "{sop}:与版本 {number} 相比没有变化",
    "{sop}: against version {number}": "{sop}:与版本 {number} 相比",
    "{sop}: version {number} says the same already, nothing was changed": "{sop}:版本 {number} 内容相同,未作更改",
    "{sop}: version {number} is published": "{sop}:已发布版本 {number}",
    "  it is a draft; `sopd sop start {sop}` lets customers in":
        "  目前为草稿;运行 `sopd sop start {sop}` 后客户开始进入",
    "  whoever is inside stays in their version ({open}), new ones get this one":
        "  执行中的 {open} 位客户继续使用原版本,新进入的客户使用本版本",
    # a SOP's life
    "{sop} is running: whoever is added from now on enters": "{sop} 已启动:此后新添加的客户将进入",
    "{sop}: open runs: {runs}": "{sop}:执行中 {runs} 个",
    "  tasks with members, not confirmed yet: {tasks}, with pushes: {pushes}":
        "  成员尚未确认的任务 {tasks} 个,含推送 {pushes} 条",
    "  pushes that wait for a slot, quota or the end of quiet hours: {pushes}":
        "  等待批次、群发次数或免打扰时段结束的推送 {pushes} 条",
    "Pause {sop}?": "暂停 {sop}?",
    "{sop} is paused; `sopd sop resume {sop}` goes on": "{sop} 已暂停;运行 `sopd sop resume {sop}` 可恢复",
    "  of these with a step that fell due during the pause: {runs}": "  其中暂停期间有步骤到期的 {runs} 个",
    "  pushes that wait: {pushes}": "  等待中的推送 {pushes} 条",
    "  people who would have entered: {people}": "  暂停期间本应进入的客户 {people} 位",
    "What is to become of what was missed?": "错过的推送如何处理?",
    "Let those in who would have entered?": "是否让本应进入的客户进入?",
    "Resume {sop}?": "恢复 {sop}?",
    "{sop} is running again; moments that passed are being skipped": "{sop} 已恢复运行;暂停期间已过的推送正在跳过",
    "{sop} is running again; everybody inside goes on later by the days of the pause":
        "{sop} 已恢复运行;执行中的客户整体顺延暂停的天数",
    "{sop} is running again; the latest of the moments that passed goes out now":
        "{sop} 已恢复运行;错过的推送中最近的一条现在补发",
    "  those who would have entered are judged again: {people}": "  正在重新判断本应进入的 {people} 位客户",
    "Stop {sop} for good? It cannot be started again.": "永久停止 {sop}?停止后不能再次启动。",
    "{sop} has ended; runs being ended: {runs}": "{sop} 已结束;正在结束 {runs} 个执行",
    # a SOP's page
    "Steps": "推送配置",
    "Versions": "版本",
    "Not let in": "未进入的客户",
    "version {number} of {last}": "版本 {number}(共 {last} 个)",
    "version {number}": "版本 {number}",
    "since {at}": "自 {at} 起",
    "step {place} {step}": "第{place}步 {step}",
    "the date in attribute {name}": "属性 {name} 中的日期",
    "the adding of the member who acts": "添加跟进成员之时",
    "the event that let them in": "触发进入的事件",
    "every new customer": "全部新客户",
    "all members": "全部成员",
    "at once": "立即",
    "day {day} at {at}": "第{day}天 {at}",
    "after {after}": "{after} 后",
    "next {weekday} at {at}": "下一个{weekday} {at}",
    "on {on} at {at}": "{on} {at}",
    "monday": "周一",
    "tuesday": "周二",
    "wednesday": "周三",
    "thursday": "周四",
    "friday": "周五",
    "saturday": "周六",
    "sunday": "周日",
    # preview
    "is inside, at {state}": "已在执行中,当前:{state}",
    "would enter": "会进入",
    "would not enter: {reason}": "不会进入:{reason}",
    "Steps to come": "后续推送",
    "What would come": "将会收到的推送",
    "as things stand now; who is added, tagged or confirmed until then may change it":
        "按当前情况推算;此后的添加、打标签和成员确认都可能改变结果",
    # a run's story
    "What happened": "经过",
    "What is to come, as things stand at {now}": "后续安排(截至 {now})",
    "run {no}": "第 {no} 次执行",
    "muted": "免打扰",
    "source {source}": "来源 {source}",
    "added {at}": "添加于 {at}",
    "lost {at} ({by})": "流失于 {at}({by})",
    "by {who}": "操作人 {who}",
    "entered: {cause}": "进入:{cause}",
    "{step} fell due": "{step} 到期",
    "{step} is due: {reason}": "{step} 已到期:{reason}",
    "{step} is passed over: {reason}": "{step} 跳过:{reason}",
    "{step} waits: {reason}": "{step} 等待:{reason}",
    "{step} waits until {until}: {reason}": "{step} 等待至 {until}:{reason}",
    "{step} is planned: task {task} at {at}": "{step} 已排期:任务 {task},{at} 下发",
    "{step}: {member} was given task {task} ({size} in it)":
        "{step}:任务 {task} 已下发给 {member},共 {size} 位客户",
    "{step}: {member} confirmed task {task}": "{step}:{member} 已确认任务 {task}",
    "{step}: task {task} is being withdrawn": "{step}:任务 {task} 正在撤回",
    "{step}: task {task} was cancelled in WeCom": "{step}:任务 {task} 已在企业微信中取消",
    "{step}: task {task} failed: {reason}": "{step}:任务 {task} 失败:{reason}",
    "{step}: task {task} needs an operator: {reason}": "{step}:任务 {task} 需人工处理:{reason}",
    "{step} was sent": "{step} 已发送",
    "{step} was done by the member": "{step} 成员已处理",
    "tags written to WeCom: {tags}": "已写入企业微信标签:{tags}",
    "tags wait to be written to WeCom: {tags}": "待写入企业微信标签:{tags}",
    "tags could not be written: {tags}: {reason}": "标签写入失败:{tags}:{reason}",
    "{step} on {at}, in {span}": "{step},{at}({span}后)",
    "{step}, due since {at}": "{step},{at} 已到期",
    "{step} once the customer answers, at the latest {until}": "客户回复后执行{step},最迟 {until}",
    "after the step before it": "待上一步完结后",
    "hop {hop}": "第 {hop} 跳",
    "event {name}": "事件 {name}",
    "flow from {name}": "由 {name} 流转",
    "flows into {sop}: run {id}": "流转到 {sop}:执行 {id}",
    "does not flow into {sop}: {reason}": "未能流转到 {sop}:{reason}",
    "does not enter {sop}: {reason}": "未进入 {sop}:{reason}",
    "keywords {words}": "关键词 {words}",
    "{step} waits for the open push to settle": "{step} 等待上一条推送完结",
    "normal end, once {step} has settled": "{step} 完结后正常结束",
    "normal end": "正常结束",
    "nothing until `sopd sop resume {sop}`": "SOP已暂停,运行 `sopd sop resume {sop}` 后继续",
    "then the normal end: {actions}": "然后正常结束:{actions}",
    "then the normal end": "然后正常结束",
    "task {task}": "任务 {task}",
    "{step} is looked at again": "{step} 再次处理",
    "{step}: {member} is given task {task}": "{step}:向 {member} 下发任务 {task}",
    "{step} expires unless {member} confirms task {task}": "{step} 过期,除非 {member} 确认任务 {task}",
    "not before {at}": "最早 {at}",
    "if {rule}": "条件 {rule}",
    "skipped when resumed": "恢复时跳过",
    # entering and going over
    "letting customers in": "正在加入客户",
    "{sop}: entered {count}, refused {refused}": "{sop}:进入 {count} 位,拒绝 {refused} 位",
    "nobody was let in": "没有客户进入",
    "judging who may go": "正在判断可流转的执行",
    "transferring runs": "正在流转",
    "Transfer {count} to {sop}?": "将 {count} 个执行流转到 {sop}?",
    "{count} transferred to {sop} by {who}": "已由 {who} 将 {count} 个执行流转到 {sop}",
    "{count} stay where they are: {reason}": "{count} 个保持不变:{reason}",
    # starting
    "judging customers": "正在判断客户",
    "warning: {target} is a draft; until it is started nobody flows into it":
        "警告:{target} 仍是草稿;启动之前,流转不会进入",
    "{sop} is being initialised; `sopd sop show {sop}` says how far it is":
        "{sop} 正在初始化;`sopd sop show {sop}` 可查看进度",
    "{sop} is running: of {total} customers {entered} entered": "{sop} 已运行:{total} 位客户中有 {entered} 位进入",
    "{sop} is running: people enter by flow or by hand": "{sop} 已运行:客户通过流转或手动进入",
    "by flow or by hand only": "仅通过流转或手动进入",
    "again after each end": "每次结束后可再次进入",
    "again {after} after each end": "每次结束 {after} 后可再次进入",
    "judged {done} of {total}, entered {entered}": "已判断 {done}/{total} 位客户,{entered} 位进入",
    # ending
    "{sop}: open runs: {count}": "{sop}:执行中 {count} 个",
    "End {count} by hand?": "手动结束 {count} 个执行?",
    "ending runs": "正在结束执行",
    "{count} had ended already": "{count} 个此前已结束",
    "{id} has ended already: {reason}": "{id} 此前已结束:{reason}",
    "{count} ended by {who}": "已由 {who} 结束 {count} 个执行",
    # customers
    "Relations": "好友关系",
    "Runs": "执行",
    "Latest pushes": "最近推送",
    "Quota windows booked": "已占用的群发名额",
    "{customer} at {member}: {tags}": "{customer}({member}):{tags}",
    "{customer} is muted": "{customer} 已设为免打扰",
    "{customer} is not muted any more": "{customer} 已取消免打扰",
    # members
    "{file} names nobody. Take all {count} customers out of {audience}?":
        "{file} 中没有任何客户,确认将 {audience} 的 {count} 位客户全部移出?",
    "Take {count} customers of {member} for lost?": "确认 {member} 的 {count} 位客户已流失?",
    "ending relations": "正在结束好友关系",
    "{count} customers of {member} are lost": "{member} 的 {count} 位客户已记为流失",
    # pushes and tasks
    "Content": "内容",
    "Task": "任务",
    "Customers": "客户",
    "until {at}": "至 {at}",
    "issued anew in place of task {task}": "由任务 {task} 重新下发",
    "issued anew as task {task}": "已重新下发为任务 {task}",
    "and more; `sopd push list` shows all of them": "还有更多;`sopd push list` 可查看全部",
    "task {task} of {member}: {step}, {size} in it: {reason}":
        "任务 {task}:{step},{member} 的 {size} 位客户:{reason}",
    "Was it sent? You say yes. Correct its pushes?": "你确认已发送。更正其中的推送?",
    "Was it sent? You say no. Correct its pushes?": "你确认未发送。更正其中的推送?",
    "task {task}: pushes marked as sent: {count}": "任务 {task}:{count} 条推送已标记为已发送",
    "task {task}: pushes marked as not sent: {count}": "任务 {task}:{count} 条推送已标记为未发送",
    # inbox
    "replaying callbacks": "正在重新处理回调",
    "to be handled once more: {count}; a running daemon does it within a second":
        "{count} 条回调将重新处理;运行中的服务会在一秒内完成",
    # lengths of time
    "{n} d": "{n} 天",
    "{n} h": "{n} 小时",
    "{n} min": "{n} 分钟",
    "{n} s": "{n} 秒",
}  # fmt: skip
