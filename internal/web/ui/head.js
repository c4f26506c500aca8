// The head that both pages have: language, theme, and the tab's texts.

import { h } from './dom.js';
import { t, translate } from './i18n.js';
import { signOut, who } from './who.js';

/** Makes the language and theme switches work; `changed` draws the page anew. */
export function head(changed) {
  const prefs = window.greenlane;
  const lang = document.getElementById('lang');
  const theme = document.getElementById('theme');
  const show = () => {
    translate();
    lang.textContent = t('pref.lang');
    lang.lang = prefs.lang === 'en' ? 'zh-CN' : 'en';
    lang.title = t('pref.lang.title');
    theme.textContent = t('pref.theme') + ': ' + t('theme.' + prefs.theme);
    changed();
  };
  lang.addEventListener('click', () => prefs.set('lang', prefs.lang === 'en' ? 'zh-CN' : 'en'));
  theme.addEventListener('click', () => prefs.set('theme', prefs.nextTheme()));
  addEventListener('prefs', show);
  show();
}

/** Lets a user whom the daemon knows by a token leave. */
export async function leaving() {
  const me = await who();
  if (me.by !== 'token') return me;
  const leave = h('button', { class: 'quiet', type: 'button', onclick: () => signOut() });
  const show = () => { leave.textContent = t('l.leave', me.name); };
  addEventListener('prefs', show);
  show();
  document.querySelector('.tools').append(leave);
  return me;
}
