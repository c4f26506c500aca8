// What lies on an agent's desk: one card at a time.

import { duration, instant } from './api.js';
import { h, mark, put, style } from './dom.js';
import { history } from './history.js';
import { clock, seconds, span, t, word } from './i18n.js';

const tierOf = (x) => x.tier.replace('TIER_', '').toLowerCase();
const badge = (x) => h('span', { class: 'badge', 'data-tier': tierOf(x) }, t('tier.' + tierOf(x)));

/** A number as people read it: +86 138 0013 8000. */
export function number(e164) {
  if (!e164) return t('withheld');
  const mobile = /^\+86(1\d{2})(\d{4})(\d{4})$/.exec(e164);
  return mobile ? `+86 ${mobile[1]} ${mobile[2]} ${mobile[3]}` : e164;
}

function attributes(call) {
  const pairs = Object.entries(call.attributes || {});
  return pairs.length > 0 && h('dl', { class: 'attributes', 'aria-label': t('attrs') }, pairs.map(([k, v]) => [h('dt', {}, k), h('dd', {}, v)]));
}

const button = (kind, key, act, extra) => h('button', { type: 'button', class: kind, onclick: act }, t(key), extra);

/** An offer: who waits, for how long, and the two answers. */
export function offerCard(offer, desk) {
  const { call, callback } = offer;
  const item = call || callback;
  const wait = h('p', { class: 'huge' });
  const limit = desk.threshold(item.queue);
  const fill = h('span', { class: 'part' });
  const expires = h('p', { class: 'under' });
  const accept = button('primary big', 'a.accept', () => desk.accept(), h('kbd', {}, 'Ctrl ↵'));
  const el = h('section', { class: 'panel card offer', 'data-tier': tierOf(item), 'aria-labelledby': 'card-title' },
    h('header', {}, h('h2', { id: 'card-title', tabindex: '-1' }, t(call ? 'a.offer' : 'a.offer.cb')), badge(item)),
    h('p', { class: 'number' }, number(item.caller)),
    h('p', { class: 'under' }, [t('a.inqueue', item.queue), call?.dialed && t('a.dialed', call.dialed), word('w.', offer.why)].filter(Boolean).join(' · ')),
    call && h('div', { class: 'waited' }, h('p', {}, t('a.waits')), wait, h('p', { class: 'under' }, t('a.of', seconds(limit)))),
    call && h('div', { class: 'bar wait', 'aria-hidden': 'true' }, fill),
    call ? attributes(call) : promise(callback),
    h('div', { class: 'actions' }, accept, button('big', 'a.decline', () => desk.decline(), h('kbd', {}, 'Ctrl ⌫'))),
    expires, history(desk.session.site, item.caller, call?.callId || callback.callbackId));
  return {
    el,
    focus: () => el.querySelector('h2').focus({ preventScroll: true }),
    tick(now) {
      const waited = call ? now - instant(call.joinedAt) : 0;
      if (call) {
        put(wait, (waited > limit ? '▲ ' : '') + span(waited));
        mark(el, 'data-urgency', waited > limit ? 'late' : waited >= limit * 0.75 ? 'soon' : null);
        style(fill, 'width', Math.min(100, waited / limit * 100).toFixed(1) + '%');
      }
      const left = instant(offer.expiresAt) - now;
      put(expires, t('a.expires', Math.max(0, Math.ceil(left / 1000))));
      // By the daemon's clock it is over: the rescind is on its way.
      for (const b of el.querySelectorAll('.actions button')) b.disabled = desk.busy || left <= 0;
    },
  };
}

function promise(callback) {
  return h('p', {}, [t('a.attempt', (callback.attempts || 0) + 1), t('a.deadline', clock(instant(callback.deadline), '', { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' })),
    callback.note && `“${callback.note}”`].filter(Boolean).join(' · '));
}

/** The call that the agent talks on. */
export function talkCard(call, desk) {
  const talk = h('p', { class: 'huge' });
  const end = button('primary big', 'a.complete', () => desk.complete());
  const el = h('section', { class: 'panel card talk', 'aria-labelledby': 'card-title' },
    h('header', {}, h('h2', { id: 'card-title', tabindex: '-1' }, t('a.talking')), call && badge(call)),
    h('p', { class: 'number' }, call ? number(call.caller) : desk.session.agent.callId),
    call && h('p', { class: 'under' }, [t('a.inqueue', call.queue), `${t('a.waits')} ${span(duration(call.wait))}`].join(' · ')),
    talk, call && attributes(call), h('div', { class: 'actions' }, end), call && history(desk.session.site, call.caller, call.callId));
  return {
    el,
    focus: () => el.querySelector('h2').focus({ preventScroll: true }),
    tick(now) {
      put(talk, span(now - instant(call?.answeredAt || desk.session.agent.since)));
      end.disabled = desk.busy;
    },
  };
}

/** A callback that the agent makes, with what may come of it. */
export function callbackCard(callback, desk) {
  const note = h('textarea', { id: 'note', rows: 2, maxlength: 500 });
  const results = ['REACHED', 'NO_ANSWER', 'BUSY', 'REFUSED'].map((r) => button(r === 'REACHED' ? 'primary' : '', 'res.' + r, () => desk.report(r, note.value.trim())));
  const el = h('section', { class: 'panel card callback', 'aria-labelledby': 'card-title' },
    h('header', {}, h('h2', { id: 'card-title', tabindex: '-1' }, t('a.callback')), callback && badge(callback)),
    h('p', { class: 'number' }, callback ? number(callback.caller) : desk.session.agent.callbackId),
    callback && h('p', { class: 'under' }, t('a.inqueue', callback.queue)), callback && promise(callback),
    h('label', { for: 'note' }, t('a.note')), note,
    h('h3', {}, t('a.result')), h('div', { class: 'actions results' }, results),
    callback && history(desk.session.site, callback.caller, callback.callbackId));
  return {
    el,
    focus: () => el.querySelector('h2').focus({ preventScroll: true }),
    tick() { for (const b of results) b.disabled = desk.busy; },
  };
}

/** The time for finishing up, counting down. */
export function wrapCard(agent, desk) {
  const left = h('p', { class: 'huge' });
  const done = button('primary big', 'a.wrap.done', () => desk.ready());
  const el = h('section', { class: 'panel card wrap' }, h('h2', {}, t('a.wrap')), h('p', { class: 'under' }, t('a.wrap.lead')), left, h('div', { class: 'actions' }, done));
  return {
    el, focus() {},
    tick(now) {
      put(left, span(instant(agent.wrapUpUntil) - now + 999));
      done.disabled = desk.busy;
    },
  };
}

/** Nothing to do: free, or not ready. */
export function restCard(agent, desk) {
  const ready = agent.state === 'AGENT_STATE_READY';
  const since = h('p', { class: 'under' });
  const go = !ready && button('primary big', 'a.goready', () => desk.ready());
  const el = h('section', { class: 'panel card rest' + (ready ? ' free' : '') },
    h('p', { class: 'lamp', 'aria-hidden': 'true' }), h('h2', {}, ready ? t('a.idle') : t('a.paused', word('r.', agent.reason || 'not_ready'))), since,
    h('p', { class: 'under' }, agent.queues.map((q) => `${q.queue} (${q.level})`).join(' · ')), h('div', { class: 'actions' }, go));
  return {
    el, focus() {},
    tick(now) {
      put(since, t(ready ? 'a.idle.for' : 'a.paused.for', span(now - instant((ready && agent.idleSince) || agent.since))));
      if (go) go.disabled = desk.busy;
    },
  };
}

/** A state of the page itself: no connection, or another window has the agent. */
export function noteCard(title, lead, action) {
  const el = h('section', { class: 'panel card note', role: 'status' }, h('h2', {}, title), lead && h('p', { class: 'under' }, lead), action && h('div', { class: 'actions' }, action));
  return { el, focus() {}, tick() {} };
}
