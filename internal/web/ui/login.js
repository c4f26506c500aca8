// The page by which a browser says who its user is. It stands in the place of a
// page that the user may not see, or at /login.

import { h, put } from './dom.js';
import { head } from './head.js';
import { t } from './i18n.js';
import { signOut, who } from './who.js';

const token = h('input', { id: 'token', name: 'token', type: 'password', autocomplete: 'off', required: true, spellcheck: 'false' });
const label = h('label', { for: 'token' });
const title = h('h2');
const lead = h('p', { class: 'under' });
const problem = h('p', { class: 'problem', role: 'alert' });
const send = h('button', { class: 'primary' });
const other = h('button', { type: 'button', hidden: true, onclick: () => signOut() });
const form = h('form', { class: 'panel', novalidate: true, onsubmit }, title, lead,
  h('div', {}, label, token), problem, h('div', { class: 'actions' }, send, other));
let me = null;
let fault = '';

async function onsubmit(event) {
  event.preventDefault();
  fault = token.value.trim() ? '' : 'l.none';
  if (!fault) {
    send.disabled = true;
    try {
      const res = await fetch('/login', {
        method: 'POST', cache: 'no-store', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token: token.value }),
      });
      if (res.ok) { enter(await res.json()); return; }
      fault = res.status === 401 ? 'l.refused' : 'unavailable';
    } catch {
      fault = 'unavailable';
    }
    send.disabled = false;
  }
  draw();
  token.focus();
}

// enter goes on to the page that was asked for, or to the one that is this user's.
function enter(person) {
  if (location.pathname !== '/login') location.reload();
  else location.replace(person.roles.includes('supervisor') ? '/' : '/agent');
}

function draw() {
  document.title = `${t('l.title')} · Greenlane`;
  put(title, t('l.title'));
  put(lead, me?.name ? t('l.denied', me.name, me.roles.join(', ')) : t('l.lead'));
  put(label, t('l.token'));
  put(send, t('l.send'));
  put(other, t('l.out'));
  put(problem, fault ? t(fault) : '');
  other.hidden = !me?.name || me.by !== 'token';
}

document.getElementById('login').append(form);
head(draw);
me = await who();
draw();
token.focus();
