// A browser that notices what no page may do: complain on the console, ask another
// host for anything, or break its content policy.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const patience = 60000;

/** Prints a duration in milliseconds, and fails above the limit where GREENLANE_FIGURES asks for it: on a machine that is busy with other tests it says nothing of the page. */
export function within(limit, ms, what) {
  console.log(`# ${what}: ${ms.toFixed(0)} ms`);
  if (process.env.GREENLANE_FIGURES === '1') assert.ok(ms <= limit, `${what}: ${ms.toFixed(0)} ms, at most ${limit} are allowed`);
}

export class Browser {
  static async start() {
    const b = new Browser();
    b.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'] });
    return b;
  }

  close() { return this.chromium.close(); }

  /** Opens a page in a context of its own. */
  async page(url, { theme = 'dark', lang = 'en', width = 1920, height = 1080 } = {}) {
    const context = await this.chromium.newContext({ viewport: { width, height }, colorScheme: theme, locale: lang, timezoneId: 'Asia/Shanghai' });
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.faults = [];
    page.away = false; // the daemon is away: the browser itself complains of that
    const { host } = new URL(url);
    page.on('request', (r) => { if (new URL(r.url()).host !== host) page.faults.push('asks another host: ' + r.url()); });
    page.on('pageerror', (e) => page.faults.push('fails: ' + e.message));
    page.on('console', (m) => {
      if (!['error', 'warning'].includes(m.type())) return;
      if (page.away && /Failed to load resource|ERR_/.test(m.text())) return;
      page.faults.push(`says ${m.type()}: ${m.text()}`);
    });
    await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.error(`content policy: ${e.violatedDirective} ${e.blockedURI}`)));
    await page.goto(url);
    return page;
  }
}

/** Fails if the page did what no page may do. */
export function clean(page) { assert.deepEqual(page.faults, []); }

/** Fails for what axe finds, as a list that can be read. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  assert.deepEqual(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html} ${n.any.map((a) => a.message).join(' ')}`).join(' | ')}`), [], what);
}

/** Fails if the page can be scrolled sideways, or something sticks out of its panel. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('.panel, dialog[open]')]
    .filter((el) => el.scrollWidth > el.clientWidth + 1).map((el) => `${el.tagName}.${el.className}: ${el.scrollWidth} pixels in ${el.clientWidth}`));
  assert.deepEqual(wide, [], what);
}

/** Keeps a picture, when somebody wants to look. */
export async function shot(page, name) {
  if (process.env.GREENLANE_SHOTS) await page.screenshot({ path: join(process.env.GREENLANE_SHOTS, name + '.png'), fullPage: true });
}

/** Signs an agent in by the form, as a person would. */
export async function signIn(page, agent, { queues = ['billing'], wrapup = '', until = '.rest.free' } = {}) {
  await page.getByLabel(/Agent id|工号/).fill(agent);
  await page.getByLabel(/Wrap-up|话后/).fill(wrapup);
  for (const queue of queues) await page.getByRole('checkbox', { name: queue }).check();
  await page.getByRole('button', { name: /^(Sign in|签入)$/ }).click();
  await page.locator(until).waitFor();
}
