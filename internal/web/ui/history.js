// What happened with a caller before.

import { call, duration, instant } from './api.js';
import { h } from './dom.js';
import { clock, span, t, word } from './i18n.js';

const most = 6;
const states = ['WAITING', 'OFFERED', 'ANSWERED', 'COMPLETED', 'ABANDONED', 'TIMED_OUT', 'OVERFLOWED', 'REFUSED'].map((s) => 'CALL_STATE_' + s);

async function all(method, request, key) {
  const out = [];
  for (let pageToken = ''; ;) {
    const res = await call(method, { ...request, pageSize: 1000, pageToken });
    out.push(...(res[key] || []));
    pageToken = res.nextPageToken;
    if (!pageToken) return out;
  }
}

/** A list of the caller's earlier calls and callbacks, newest first; `now` is the
 * call or callback at hand, which is left out. */
export function history(site, caller, now) {
  const body = h('div');
  const el = h('section', { class: 'history' }, h('h3', {}, t('a.history')), body);
  const say = (key) => body.replaceChildren(h('p', { class: 'under' }, t(key)));
  if (!caller) { say('a.history.withheld'); return el; }
  Promise.all([
    all('SupervisorService/ListCalls', { site, caller, states }, 'calls'),
    all('CallbackService/List', { site, caller }, 'callbacks'),
  ]).then(([calls, callbacks]) => {
    const items = [
      ...calls.filter((c) => c.callId !== now).map((c) => ({ at: instant(c.joinedAt), text: ofCall(c) })),
      ...callbacks.filter((c) => c.callbackId !== now).map((c) => ({ at: instant(c.createdAt), text: ofCallback(c) })),
    ].sort((a, b) => b.at - a.at).slice(0, most);
    if (items.length === 0) { say('a.history.none'); return; }
    body.replaceChildren(h('ol', {}, items.map((i) => h('li', {}, h('time', {}, clock(i.at, '', { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' })), ' ', i.text))));
  }, () => say('a.history.failed'));
  return el;
}

function ofCall(c) {
  const state = c.state.replace('CALL_STATE_', '');
  const words = [c.queue + ':', word('h.', state)];
  if (['COMPLETED', 'ANSWERED', 'OFFERED'].includes(state)) words.push(c.agentId);
  if (['ABANDONED', 'TIMED_OUT'].includes(state)) words.push(span(duration(c.wait)));
  return words.join(' ');
}

function ofCallback(c) {
  const words = [c.queue + ':', t('h.callback'), word('cbs.', c.state.replace('CALLBACK_STATE_', ''))];
  if (c.lastResult && c.lastResult !== 'CALLBACK_RESULT_UNSPECIFIED') words.push('· ' + word('res.', c.lastResult.replace('CALLBACK_RESULT_', '')));
  if (c.note) words.push('· “' + c.note + '”');
  return words.join(' ');
}
