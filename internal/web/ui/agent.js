// The agent page: sign in, then the desk. A reload, and a daemon that comes back,
// find the agent where they left off.

import { call, duration } from './api.js';
import { Desk } from './desk.js';
import { mark, onceAFrame, put } from './dom.js';
import { head, leaving } from './head.js';
import { t } from './i18n.js';
import { Ring } from './ring.js';
import { Session } from './session.js';
import { SignIn } from './signin.js';

const $ = (id) => document.getElementById(id);
const site = new URLSearchParams(location.search).get('site') || 'main';
const ring = new Ring();
const parts = { main: $('desk'), pill: $('state'), notice: $('notice'), news: $('news'), dialog: $('pause') };

// Who is at work in this window: kept for a reload, but not beyond the window.
const kept = {
  get() { try { return sessionStorage.getItem('greenlane.at.' + site); } catch { return null; } },
  set(agent) { try { agent ? sessionStorage.setItem('greenlane.at.' + site, agent) : sessionStorage.removeItem('greenlane.at.' + site); } catch { /* none */ } },
};

let own = '';
let session = null;
let desk = null;
let form = null;

function askWho(fault) {
  session?.close();
  desk?.remove();
  session = desk = null;
  kept.set(null);
  put($('who'), '');
  form = new SignIn(site, own, ({ agent, signIn }) => { ring.unlock(); begin(agent, signIn); });
  if (fault) form.fault = fault;
  form.draw();
  $('desk').replaceChildren(form.el);
  document.title = `${t('a.signin')} · Greenlane`;
}

function begin(agent, signIn) {
  let signingIn = !!signIn;
  session = new Session({ site, agent }, {
    changed: onceAFrame(() => {
      if (!session || session.id !== agent) return;
      if (session.state === 'over') {
        askWho(session.why?.code === 'failed_precondition' ? '' : session.why?.message);
        return;
      }
      if (session.state === 'open' && signingIn) { signingIn = false; kept.set(agent); }
      desk?.draw();
    }),
    told: (kind, what) => desk?.told(kind, what),
  });
  put($('who'), agent);
  desk = new Desk(parts, { session, thresholds: form?.thresholds, ring, signedOut: () => askWho() });
  form = null;
  if (!desk.thresholds) learnThresholds(desk);
  session.open(signIn);
}

async function learnThresholds(of) {
  const res = await call('SupervisorService/GetSnapshot', { site, omitAgents: true }).catch(() => null);
  if (res) of.thresholds = new Map(res.queues.map((q) => [q.queue, duration(q.threshold)]));
}

head(() => {
  put($('sound'), `${t('a.sound')}: ${t(ring.on ? 'on' : 'off')}`);
  mark($('sound'), 'aria-pressed', String(ring.on));
  form?.draw();
  desk?.draw(true);
});
$('sound').addEventListener('click', () => {
  ring.toggle();
  ring.unlock();
  put($('sound'), `${t('a.sound')}: ${t(ring.on ? 'on' : 'off')}`);
  mark($('sound'), 'aria-pressed', String(ring.on));
});
addEventListener('pointerdown', () => ring.unlock(), { once: true });
setInterval(() => desk?.tick(), 250);
mark($('wallboard'), 'href', '/?site=' + encodeURIComponent(site));

// An agent whom the daemon knows signs in under that name, and under no other.
const me = await leaving();
own = me.name && me.name !== '*' ? me.name : '';
if (own && kept.get() !== own) kept.set(null);
if (kept.get()) begin(kept.get());
else askWho();
