// What the pages say, in English and Chinese, and how they write figures.

const en = {
  'app.wallboard': 'Wallboard', 'app.agent': 'Agent',
  'pref.lang': '中文', 'pref.lang.title': '切换到中文', 'pref.theme': 'Theme',
  'theme.auto': 'Auto', 'theme.light': 'Light', 'theme.dark': 'Dark',
  'tier.vip': 'VIP', 'tier.mid': 'Mid', 'tier.ordinary': 'Ordinary', 'tier.blacklist': 'Blacklist',
  'live': 'Live', 'connecting': 'Connecting', 'lost': (s) => `Connection lost, next try in ${s} s`,
  'stale': (time, age) => `Data from ${time}, ${age} s old`,
  'waiting': 'Waiting', 'longest': 'Longest wait', 'level': 'Service level today', 'agents': 'Agents', 'callbacks': 'Callbacks',
  'beyond': (n, s) => `${n} beyond ${s} s`, 'none.beyond': (s) => `none beyond ${s} s`, 'nobody': 'nobody waits',
  'late': 'LATE', 'soon': 'soon',
  'target': (p) => `target ${p}`, 'no.target': 'no target', 'targets.differ': 'target by queue', 'met': 'on target', 'missed': 'below target',
  'recent': (p) => `last 30 min ${p}`,
  'limit': (s) => `threshold ${s} s`,
  'st.idle': 'free', 'st.offered': 'ringing', 'st.talking': 'talking', 'st.wrap_up': 'wrap-up', 'st.not_ready': 'not ready', 'st.unreached': 'unreachable',
  'cb.due': 'due now', 'cb.pending': 'later', 'cb.working': 'in hand', 'cb.missed': (n) => `${n} missed in all`,
  'cb.deadline': (t) => `next deadline in ${t}`, 'cb.nodeadline': 'no open deadline', 'cb.dueshort': (n) => `${n} due`,
  'queue.closed': 'closed', 'queue.full': (n, c) => `${n} of ${c} places`,
  'queue.list': (q) => `Waiting list of ${q}`,
  'col.tier': 'Tier', 'col.level': 'Service level', 'col.waiting': 'Waiting', 'col.oldest': 'Longest wait', 'col.caller': 'Caller',
  'col.wait': 'Wait', 'col.state': 'State', 'col.place': 'Place',
  'curve': 'Today by quarter hour',
  'curve.sum': (n, low, at) => `Service level today by quarter hour: ${n} calls; lowest ${low} at ${at}.`, 'curve.none': 'No calls were answered or abandoned today yet.',
  'formula': 'Service level = answered in time / (answered + abandoned), of the calls that joined today. VIP, mid and ordinary; in time is within the threshold, exactly the threshold included.',
  'violation': (n) => `Green channel violated ${n} times`,
  'say.late': (q, t) => `${q}, ${t}: a caller waits beyond the threshold.`,
  'call.waiting': 'waiting', 'call.offered': 'ringing at', 'withheld': 'number withheld',
  'call.none': 'Nobody waits in this queue.', 'call.more': (n) => `and ${n} more`, 'call.gone': 'This call is no longer known.',
  'close': 'Close', 'back': 'Back', 'explain': 'Why?', 'explain.title': (id) => `Call ${id}`,
  'ex.position': (n) => `Number ${n} in its queue`, 'ex.ahead': (list) => `Before it: ${list}`, 'ex.first': 'Nobody is before it',
  'ex.agents': (n, idle) => `${n} agents at work in the queue, ${idle} of them free`, 'ex.estimate': (t) => `Estimated wait left: ${t}`,
  'ex.callbacks': (n) => `${n} due callbacks`, 'ex.words': 'In the daemon’s words', 'ex.way': 'Its way so far', 'ex.joined': (t) => `Waits since ${t}`,
  'ex.offers': (n) => `Offered ${n} times so far`, 'ex.provisional': 'Tier not confirmed yet: ranked as ordinary', 'ex.unattested': 'A VIP’s number that the switch did not vouch for',
  'ev.CALL_JOINED': 'joined', 'ev.CALL_OFFERED': 'offered to', 'ev.OFFER_ACKNOWLEDGED': 'rings at', 'ev.OFFER_RETURNED': 'offer came back from',
  'ev.CALL_ANSWERED': 'answered by', 'ev.CALL_ABANDONED': 'caller hung up', 'ev.CALL_COMPLETED': 'ended', 'ev.CALL_LATE': 'passed the threshold',
  'ev.CALL_MOVED': 'moved to queue', 'ev.CALL_RERANKED': 'tier changed to', 'ev.CALL_RELEASED_TO_ALL': 'released to all agents',
  'ev.CALL_TIMED_OUT': 'released after the longest wait', 'ev.CALL_OVERFLOWED': 'handed outside', 'ev.CALL_REFUSED': 'not let in',
  'unavailable': 'The daemon does not answer. Trying again.',
  'l.title': 'Who are you?', 'l.lead': 'This page needs a token. Ask whoever runs the daemon for yours.', 'l.token': 'Token', 'l.send': 'Sign in', 'l.out': 'Leave',
  'l.none': 'Enter your token.', 'l.refused': 'This token is not accepted, or has expired.', 'l.leave': (name) => `Leave (${name})`,
  'l.denied': (name, roles) => `You are ${name} (${roles}), and this page is for another role or site.`,

  'a.signin': 'Sign in', 'a.signin.lead': 'Sign in to take calls.', 'a.id': 'Agent id', 'a.endpoint': 'Phone (optional)', 'a.endpoint.hint': 'Where the switch rings you, such as SIP/1001',
  'a.queues': 'Queues you serve', 'a.level': 'Level', 'a.level.hint': '1 is best: you get these calls first', 'a.wrapup': 'Wrap-up, seconds', 'a.wrapup.hint': 'Empty: as the queue says',
  'a.noqueue': 'Choose at least one queue.', 'a.noid': 'Enter your agent id.', 'a.signout': 'Sign out', 'a.loading': 'Asking the daemon for its queues',
  'a.ready': 'Ready', 'a.notready': 'Not ready', 'a.goready': 'Go ready', 'a.pause': 'Not ready…', 'a.pause.title': 'Why are you not ready?',
  'r.break': 'Break', 'r.lunch': 'Lunch', 'r.meeting': 'Meeting', 'r.training': 'Training', 'r.other': 'Other',
  'r.no_answer': 'you did not answer an offer', 'r.not_acknowledged': 'an offer did not reach this page', 'r.lost': 'connection lost', 'r.busy': 'your phone was busy', 'r.unreachable': 'your phone could not be reached', 'r.not_ready': 'Not ready',
  'a.after': 'Not ready after this call', 'a.stay': 'Stay ready', 'a.idle': 'Waiting for the next call', 'a.idle.for': (t) => `free for ${t}`, 'a.paused': (r) => `Not ready: ${r}`, 'a.paused.for': (t) => `for ${t}`,
  'a.offline': 'No connection', 'a.offline.lead': 'You get no calls until the connection is back. An offer you had has gone back to its place.',
  'a.talk.on': 'The connection is lost. Your call goes on; the page catches up by itself.',
  'a.taken': 'This agent is open in another window', 'a.taken.lead': 'Only one window at a time gets the calls.', 'a.takeover': 'Use this window',
  'a.offer': 'Incoming call', 'a.offer.cb': 'Callback to make', 'a.accept': 'Accept', 'a.decline': 'Decline', 'a.waits': 'has waited', 'a.expires': (s) => `goes back in ${s} s`,
  'a.of': (s) => `of ${s} s`, 'a.inqueue': (q) => `queue ${q}`, 'a.dialed': (n) => `dialled ${n}`,
  'w.longest_idle': 'you have been free longest', 'w.preferred_agent': 'the caller’s own agent', 'w.next_in_line': 'next in line', 'w.preemption': 'VIP: took the place of your earlier offer',
  'a.talking': 'Talking', 'a.complete': 'End call', 'a.wrap': 'Wrap-up', 'a.wrap.lead': 'Finish up. You are ready again in', 'a.wrap.done': 'Ready now',
  'a.callback': 'Call this number now', 'a.attempt': (n) => `attempt ${n}`, 'a.deadline': (t) => `promised until ${t}`, 'a.note': 'Note', 'a.result': 'What came of it?',
  'res.REACHED': 'Reached', 'res.NO_ANSWER': 'No answer', 'res.BUSY': 'Busy', 'res.REFUSED': 'Wants no call',
  'a.history': 'This caller before', 'a.history.none': 'Nothing is known of earlier calls.', 'a.history.withheld': 'The number is withheld.', 'a.history.failed': 'Earlier calls could not be looked up.',
  'h.COMPLETED': 'answered by', 'h.ABANDONED': 'hung up after', 'h.TIMED_OUT': 'released after', 'h.OVERFLOWED': 'handed outside', 'h.REFUSED': 'not let in', 'h.ANSWERED': 'talking with', 'h.WAITING': 'waiting', 'h.OFFERED': 'ringing',
  'h.callback': 'callback', 'cbs.PENDING': 'promised', 'cbs.DUE': 'due', 'cbs.OFFERED': 'offered', 'cbs.CLAIMED': 'in hand', 'cbs.DONE': 'done', 'cbs.FAILED': 'not reached', 'cbs.MISSED': 'missed', 'cbs.CANCELLED': 'cancelled',
  'x.title': 'Offer withdrawn', 'x.declined': 'you declined it', 'x.expired': 'it was not answered in time', 'x.preempted': 'a VIP needs you', 'x.caller_hung_up': 'the caller hung up',
  'x.agent_lost': 'the connection was lost', 'x.not_acknowledged': 'it did not reach this page in time', 'x.agent_not_ready': 'you are not ready', 'x.agent_signed_out': 'you do not serve the queue any more',
  'x.moved': 'the call went to another queue', 'x.max_wait': 'the call waited too long', 'x.cancelled': 'the callback is no longer wanted', 'x.undelivered': 'the connection was lost',
  'x.ended': 'The call is over', 'e.caller_hung_up': 'the caller hung up', 'e.agent_completed': 'you ended it', 'e.switch_ended': 'the switch ended it', 'e.max_talk': 'it lasted for the most that is allowed', 'e.reconciled': 'the switch no longer has it',
  'a.sound': 'Sound', 'on': 'on', 'off': 'off', 'a.failed': (m) => `That did not work: ${m}`, 'a.reported': 'Noted. Thank you.', 'attrs': 'From the switch',
};

const zh = {
  'app.wallboard': '监控大屏', 'app.agent': '坐席',
  'pref.lang': 'English', 'pref.lang.title': 'Switch to English', 'pref.theme': '主题',
  'theme.auto': '自动', 'theme.light': '浅色', 'theme.dark': '深色',
  'tier.vip': 'VIP', 'tier.mid': '中级', 'tier.ordinary': '普通', 'tier.blacklist': '黑名单',
  'live': '实时', 'connecting': '正在连接', 'lost': (s) => `连接中断，${s} 秒后重试`,
  'stale': (time, age) => `数据时间 ${time}，已过 ${age} 秒`,
  'waiting': '排队中', 'longest': '最长等待', 'level': '今日服务水平', 'agents': '坐席', 'callbacks': '回拨',
  'beyond': (n, s) => `${n} 个超过 ${s} 秒`, 'none.beyond': (s) => `无超过 ${s} 秒`, 'nobody': '无人排队',
  'late': '超时', 'soon': '将超时',
  'target': (p) => `目标 ${p}`, 'no.target': '无目标', 'targets.differ': '目标因队列而异', 'met': '达标', 'missed': '未达标',
  'recent': (p) => `近 30 分钟 ${p}`,
  'limit': (s) => `时限 ${s} 秒`,
  'st.idle': '空闲', 'st.offered': '振铃', 'st.talking': '通话', 'st.wrap_up': '话后', 'st.not_ready': '示忙', 'st.unreached': '不可达',
  'cb.due': '现在应拨', 'cb.pending': '稍后', 'cb.working': '处理中', 'cb.missed': (n) => `累计逾期 ${n}`,
  'cb.deadline': (t) => `最近期限还有 ${t}`, 'cb.nodeadline': '无未完成期限', 'cb.dueshort': (n) => `${n} 个应拨`,
  'queue.closed': '已关闭', 'queue.full': (n, c) => `${n} / ${c} 位`,
  'queue.list': (q) => `${q} 的排队列表`,
  'col.tier': '等级', 'col.level': '服务水平', 'col.waiting': '排队', 'col.oldest': '最长等待', 'col.caller': '主叫',
  'col.wait': '等待', 'col.state': '状态', 'col.place': '位次',
  'curve': '今日每刻钟',
  'curve.sum': (n, low, at) => `今日每刻钟服务水平：共 ${n} 个来电，最低 ${low}，在 ${at}。`, 'curve.none': '今日尚无已接或放弃的来电。',
  'formula': '服务水平 = 及时接听 /（接听 + 放弃），按今日进入排队的来电计算，含 VIP、中级与普通；恰好等于时限算及时。',
  'violation': (n) => `绿色通道被违反 ${n} 次`,
  'say.late': (q, t) => `${q}：一位${t}来电者等待超过时限。`,
  'call.waiting': '排队中', 'call.offered': '振铃于', 'withheld': '号码未显示',
  'call.none': '该队列无人排队。', 'call.more': (n) => `另有 ${n} 个`, 'call.gone': '该来电已无记录。',
  'close': '关闭', 'back': '返回', 'explain': '为何？', 'explain.title': (id) => `来电 ${id}`,
  'ex.position': (n) => `队列中第 ${n} 位`, 'ex.ahead': (list) => `排在前面：${list}`, 'ex.first': '前面没有人',
  'ex.agents': (n, idle) => `该队列有 ${n} 名坐席在岗，其中 ${idle} 名空闲`, 'ex.estimate': (t) => `预计还需等待：${t}`,
  'ex.callbacks': (n) => `${n} 个到期回拨`, 'ex.words': '系统原文（英文）', 'ex.way': '经过', 'ex.joined': (t) => `自 ${t} 起等待`,
  'ex.offers': (n) => `已派给坐席 ${n} 次`, 'ex.provisional': '等级尚未确认，暂按普通排队', 'ex.unattested': '号码属于 VIP,但交换机未能证实',
  'ev.CALL_JOINED': '进入排队', 'ev.CALL_OFFERED': '派给', 'ev.OFFER_ACKNOWLEDGED': '振铃于', 'ev.OFFER_RETURNED': '派单退回自',
  'ev.CALL_ANSWERED': '接听者', 'ev.CALL_ABANDONED': '来电者挂断', 'ev.CALL_COMPLETED': '结束', 'ev.CALL_LATE': '超过时限',
  'ev.CALL_MOVED': '转到队列', 'ev.CALL_RERANKED': '等级改为', 'ev.CALL_RELEASED_TO_ALL': '开放给所有坐席',
  'ev.CALL_TIMED_OUT': '等待过久被释放', 'ev.CALL_OVERFLOWED': '转往外部', 'ev.CALL_REFUSED': '未准进入',
  'unavailable': '系统没有应答，正在重试。',
  'l.title': '请验证身份', 'l.lead': '此页面需要令牌。请向系统管理员索取。', 'l.token': '令牌', 'l.send': '登录', 'l.out': '退出',
  'l.none': '请输入令牌。', 'l.refused': '令牌无效或已过期。', 'l.leave': (name) => `退出（${name}）`,
  'l.denied': (name, roles) => `您是 ${name}（${roles}），此页面属于其他角色或站点。`,

  'a.signin': '签入', 'a.signin.lead': '签入后即可接听来电。', 'a.id': '工号', 'a.endpoint': '话机（可选）', 'a.endpoint.hint': '交换机振铃的地址，例如 SIP/1001',
  'a.queues': '服务的队列', 'a.level': '级别', 'a.level.hint': '1 为最优：优先接到这些来电', 'a.wrapup': '话后处理（秒）', 'a.wrapup.hint': '留空：按队列设置',
  'a.noqueue': '请至少选择一个队列。', 'a.noid': '请输入工号。', 'a.signout': '签出', 'a.loading': '正在获取队列',
  'a.ready': '示闲', 'a.notready': '示忙', 'a.goready': '恢复示闲', 'a.pause': '示忙…', 'a.pause.title': '示忙原因',
  'r.break': '小休', 'r.lunch': '午餐', 'r.meeting': '会议', 'r.training': '培训', 'r.other': '其他',
  'r.no_answer': '未接听派来的来电', 'r.not_acknowledged': '派单未能送达本页', 'r.lost': '连接中断', 'r.busy': '话机占线', 'r.unreachable': '话机无法接通', 'r.not_ready': '示忙',
  'a.after': '本次通话后示忙', 'a.stay': '保持示闲', 'a.idle': '等待下一个来电', 'a.idle.for': (t) => `已空闲 ${t}`, 'a.paused': (r) => `示忙：${r}`, 'a.paused.for': (t) => `已 ${t}`,
  'a.offline': '没有连接', 'a.offline.lead': '恢复连接之前不会收到来电。之前派给您的来电已退回原位。',
  'a.talk.on': '连接中断。您的通话仍在继续，页面会自动恢复。',
  'a.taken': '该坐席已在另一窗口打开', 'a.taken.lead': '同一时间只有一个窗口接收来电。', 'a.takeover': '在此窗口使用',
  'a.offer': '来电', 'a.offer.cb': '待拨回拨', 'a.accept': '接听', 'a.decline': '拒接', 'a.waits': '已等待', 'a.expires': (s) => `${s} 秒后退回`,
  'a.of': (s) => `/ ${s} 秒`, 'a.inqueue': (q) => `队列 ${q}`, 'a.dialed': (n) => `拨打 ${n}`,
  'w.longest_idle': '您空闲最久', 'w.preferred_agent': '该客户的专属坐席', 'w.next_in_line': '下一位', 'w.preemption': 'VIP:取代了之前的派单',
  'a.talking': '通话中', 'a.complete': '结束通话', 'a.wrap': '话后处理', 'a.wrap.lead': '请完成记录，自动示闲还有', 'a.wrap.done': '立即示闲',
  'a.callback': '请现在拨打该号码', 'a.attempt': (n) => `第 ${n} 次`, 'a.deadline': (t) => `承诺期限 ${t}`, 'a.note': '备注', 'a.result': '结果如何？',
  'res.REACHED': '已联系上', 'res.NO_ANSWER': '无人接听', 'res.BUSY': '占线', 'res.REFUSED': '不需要回拨',
  'a.history': '该来电者的历史', 'a.history.none': '没有以往来电记录。', 'a.history.withheld': '号码未显示。', 'a.history.failed': '无法查询历史记录。',
  'h.COMPLETED': '接听者', 'h.ABANDONED': '挂断前等待', 'h.TIMED_OUT': '释放前等待', 'h.OVERFLOWED': '转往外部', 'h.REFUSED': '未准进入', 'h.ANSWERED': '正与其通话', 'h.WAITING': '排队中', 'h.OFFERED': '振铃中',
  'h.callback': '回拨', 'cbs.PENDING': '已承诺', 'cbs.DUE': '到期', 'cbs.OFFERED': '已派出', 'cbs.CLAIMED': '处理中', 'cbs.DONE': '完成', 'cbs.FAILED': '未联系上', 'cbs.MISSED': '逾期', 'cbs.CANCELLED': '已取消',
  'x.title': '派单已收回', 'x.declined': '您已拒接', 'x.expired': '未及时接听', 'x.preempted': 'VIP 需要您', 'x.caller_hung_up': '来电者已挂断',
  'x.agent_lost': '连接中断', 'x.not_acknowledged': '未能及时送达本页', 'x.agent_not_ready': '您已示忙', 'x.agent_signed_out': '您不再服务该队列',
  'x.moved': '来电已转到其他队列', 'x.max_wait': '来电等待过久', 'x.cancelled': '回拨已取消', 'x.undelivered': '连接中断',
  'x.ended': '通话已结束', 'e.caller_hung_up': '对方已挂断', 'e.agent_completed': '您已结束', 'e.switch_ended': '交换机结束', 'e.max_talk': '达到最长通话时间', 'e.reconciled': '交换机已无此来电',
  'a.sound': '提示音', 'on': '开', 'off': '关', 'a.failed': (m) => `操作未成功：${m}`, 'a.reported': '已记录，谢谢。', 'attrs': '交换机信息',
};

const texts = { en, 'zh-CN': zh };

/** The text of a key in the page's language. */
export function t(key, ...args) {
  const text = texts[window.greenlane.lang][key] ?? en[key];
  return typeof text === 'function' ? text(...args) : text ?? key;
}

/** The text of a key, or words that the daemon sent and no key knows. */
export function word(prefix, value) {
  const key = prefix + value;
  return key in en ? t(key) : String(value).replaceAll('_', ' ');
}

/** Fills in every element that names its text. */
export function translate(root = document) {
  for (const el of root.querySelectorAll('[data-t]')) el.textContent = t(el.dataset.t);
  for (const el of root.querySelectorAll('[data-t-label]')) el.setAttribute('aria-label', t(el.dataset.tLabel));
}

/** A share as a percentage, rounded down: one below its target never looks as if it
 * had reached it. */
export function percent(share, digits = 1) {
  const scale = 10 ** digits;
  const value = Math.floor(share * 100 * scale + 1e-9) / scale;
  return value.toFixed(share === 1 ? 0 : digits) + ' %';
}

/** A target, as it was set. */
export const goal = (share) => String(Math.round(share * 1000) / 10) + ' %';

/** A length of time in milliseconds as m:ss, or h:mm:ss. */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  return hours > 0 ? `${hours}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** A threshold in milliseconds as a number of seconds. */
export const seconds = (ms) => String(Math.round(ms / 100) / 10);

const formats = new Map();

/** An instant as the site's people read it. */
export function clock(ms, zone, parts = { hour: '2-digit', minute: '2-digit', second: '2-digit' }) {
  const locale = window.greenlane.lang === 'en' ? 'en-GB' : 'zh-CN';
  const key = locale + zone + Object.keys(parts).join();
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(locale, { timeZone: zone || undefined, hourCycle: 'h23', ...parts }));
  }
  return formats.get(key).format(ms);
}
