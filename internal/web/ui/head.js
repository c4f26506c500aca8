// The head that both pages have: language, theme, and the tab's texts.

import { t, translate } from './i18n.js';

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
