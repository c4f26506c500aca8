// The wallboard: it draws what the stream brings, and counts waits on in between.

import { Calls } from './calls.js';
import { Curve } from './curve.js';
import { h, mark, onceAFrame, put } from './dom.js';
import { head, leaving } from './head.js';
import { clock, t } from './i18n.js';
import { Live } from './live.js';
import { Queues } from './queues.js';
import { lateOf, Tiles } from './tiles.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const only = (query.get('queues') || '').split(',').filter(Boolean);

const draw = onceAFrame(show);
const live = new Live('/wallboard/stream' + (query.get('site') ? '?site=' + encodeURIComponent(query.get('site')) : ''), draw);
const calls = new Calls($('calls'), live);
const tiles = new Tiles();
const queues = new Queues($('queues'), $('day'), (name) => calls.open(name));
const curve = new Curve();
new ResizeObserver(() => { shownDay = null; draw(); }).observe($('day'));
const dayTitle = h('h2');
let shownDay = null;
let shownSeq = -1;

$('tiles').append(...tiles.el);
$('day').append(dayTitle, curve.el);

function show() {
  state();
  const figures = live.figures;
  mark($('board'), 'data-empty', !figures);
  if (!figures) return;
  const at = live.at;
  const chosen = only.length ? figures.queues.filter((q) => only.includes(q.name)) : figures.queues;
  put($('site'), live.site);
  mark($('agent'), 'href', '/agent?site=' + encodeURIComponent(live.site));
  tiles.show(figures, at);
  queues.show(chosen, at);
  put(dayTitle, t('curve'));
  if (live.day && shownDay !== live.day) {
    shownDay = live.day;
    curve.show(live.day, live.day.site, live.zone);
    queues.showDay(live.day, live.zone);
  }
  put($('violation'), figures.violations > 0 ? '▲ ' + t('violation', figures.violations) : '');
  mark($('violation'), 'hidden', figures.violations === 0);
  announce(chosen, at);
  if (figures.seq !== shownSeq) {
    shownSeq = figures.seq;
    document.documentElement.dataset.seq = figures.seq; // what is painted, for those who measure
    calls.refresh();
  }
  calls.tick();
}

// state tells whether what is seen is now, and how old it is if not.
function state() {
  const el = $('state');
  const age = live.stale;
  const words = [];
  if (age) words.push(t('stale', clock(live.figures.at, live.zone), Math.floor(age / 1000)));
  if (live.state === 'lost') words.push(t('lost', Math.ceil(live.retryIn / 1000)));
  else if (live.state === 'connecting') words.push(t('connecting'));
  const kind = age || live.state === 'lost' ? 'bad' : live.state === 'live' ? 'good' : 'wait';
  put(el, ({ bad: '▲ ', good: '● ', wait: '◌ ' })[kind] + (words.join(' · ') || t('live')));
  mark(el, 'data-kind', kind);
  // Only a change of kind is worth a screen reader's word, not each second.
  mark(el, 'role', el.dataset.said === kind ? null : 'status');
  el.dataset.said = kind;
  mark(document.body, 'data-stale', age > 0);
  put($('clock'), live.zone ? clock(live.clock.now(), live.zone) : '');
}

let latest = new Set();

// announce says once that a call has passed the threshold, for those who do not
// see it, and puts the number in the tab's title.
function announce(list, at) {
  const now = new Set();
  let late = 0;
  for (const q of list) {
    for (const tier of q.tiers) {
      const n = lateOf(tier, q, at);
      late += n;
      if (n > 0) now.add(`${q.name}\n${tier.tier}`);
    }
  }
  const fresh = [...now].find((key) => !latest.has(key));
  if (fresh) {
    const [name, tier] = fresh.split('\n');
    put($('news'), t('say.late', name, t('tier.' + tier)));
  }
  latest = now;
  const title = `${late > 0 ? `▲${late} ` : ''}${t('app.wallboard')} · Greenlane`;
  if (document.title !== title) document.title = title;
}

head(() => { shownDay = null; shownSeq = -1; draw(); });
leaving();
live.open();
setInterval(draw, 250);
