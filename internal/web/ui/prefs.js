// Language and theme, before the first paint: a classic script, so that nothing
// flashes. What was chosen is kept in this browser; ?lang= and ?theme= choose for a
// screen that nobody touches.
(() => {
  'use strict';
  const root = document.documentElement;
  const query = new URLSearchParams(location.search);
  const bright = matchMedia('(prefers-color-scheme: light)');
  const kept = (name) => { try { return localStorage.getItem('greenlane.' + name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem('greenlane.' + name, value); } catch { /* private window */ } };
  const langOf = (s) => (/^zh/i.test(s || '') ? 'zh-CN' : /^en/i.test(s || '') ? 'en' : null);
  const themes = ['auto', 'light', 'dark'];

  const prefs = {
    lang: langOf(query.get('lang')) || langOf(kept('lang')) || langOf(root.lang) || 'en',
    theme: [query.get('theme'), kept('theme')].find((t) => themes.includes(t)) || 'auto',
    kept, keep,
    apply() {
      root.lang = prefs.lang;
      root.dataset.theme = prefs.theme === 'auto' ? (bright.matches ? 'light' : 'dark') : prefs.theme;
    },
    set(name, value) {
      prefs[name] = value;
      keep(name, value);
      prefs.apply();
      dispatchEvent(new Event('prefs'));
    },
    nextTheme() { return themes[(themes.indexOf(prefs.theme) + 1) % themes.length]; },
  };
  bright.addEventListener('change', () => { prefs.apply(); dispatchEvent(new Event('prefs')); });
  prefs.apply();
  window.greenlane = prefs;
})();
