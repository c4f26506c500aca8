// Every page in both themes and languages, on a wall and on a phone.

import { after, before, test } from 'node:test';
import { accessible, Browser, clean, fits, shot, signIn } from './browser.mjs';
import { Daemon } from './daemon.mjs';

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.close(); });

// busy is a daemon with a bit of everything: callers who wait too long, of each
// tier, and some who were answered.
async function busy() {
  const daemon = await Daemon.start();
  for (const [caller, tier] of [['13800138200', 'VIP'], ['13800138201', 'MID'], ['13800138202', 'ORDINARY'], ['13800138203', 'BLACKLIST']]) await daemon.tier(caller, tier);
  await daemon.call('AgentService/SignIn', { agentId: 'tool', queues: [{ queue: 'billing' }] });
  for (let i = 0; i < 6; i++) {
    await daemon.arrive('a' + i, '1380013820' + (i % 4));
    const { offer } = await daemon.call('AgentService/NextCall', { agentId: 'tool', wait: '5s' });
    await daemon.call('AgentService/Accept', { agentId: 'tool', offerId: offer.offerId });
    await daemon.call('AgentService/Complete', { agentId: 'tool', callId: 'a' + i });
  }
  await daemon.call('AgentService/SignOut', { agentId: 'tool' });
  for (let i = 0; i < 4; i++) await daemon.arrive('w' + i, '1380013820' + i, 'support');
  // Some wait for hours, which takes more room.
  const calls = Array.from({ length: 120 }, (_, i) => ({ callId: 'old' + i, caller: '13800138202', queue: 'support', arrivedAt: new Date(Date.now() - 45e5).toISOString() }));
  await daemon.call('SwitchService/Reconcile', { switchId: 'other', calls });
  await daemon.arrive('b0', '13800138201', 'support');
  await daemon.hangUp('b0');
  return daemon;
}

// looks runs a test with a page of a busy daemon, and ends both whatever happens.
function looks(name, path, options, check) {
  test(name, async () => {
    const daemon = await busy();
    try {
      const page = await browser.page(daemon.url + path, options);
      try {
        await check(page, daemon);
        clean(page);
      } finally {
        await page.context().close();
      }
    } finally {
      await daemon.remove();
    }
  });
}

for (const theme of ['dark', 'light']) {
  for (const lang of ['en', 'zh-CN']) {
    for (const [device, size] of [['wall', { width: 1920, height: 1080 }], ['phone', { width: 360, height: 740 }]]) {
      const name = `${theme}-${lang}-${device}`;
      const options = { theme, lang, ...size };

      looks(`the wallboard, ${name}`, '/', options, async (page) => {
        await page.locator('.queue .flag').nth(1).waitFor();
        await page.locator('.tile.longest').getByText('1:15:0').waitFor();
        await page.locator('.day .now').waitFor();
        await accessible(page, 'wallboard');
        await fits(page, 'wallboard');
        await shot(page, 'wallboard-' + name);
        await page.locator('.queue .title').nth(1).click();
        await page.locator('dialog tbody tr').nth(99).waitFor();
        await accessible(page, 'waiting list');
        await fits(page, 'waiting list');
        await page.locator('dialog tbody button').nth(3).click();
        await page.locator('dialog .way li').first().waitFor();
        await accessible(page, 'explanation');
        await fits(page, 'explanation');
        await shot(page, 'explain-' + name);
      });

      looks(`the agent page, ${name}`, '/agent', options, async (page, daemon) => {
        await page.getByRole('checkbox').first().waitFor();
        await accessible(page, 'sign-in');
        await fits(page, 'sign-in');
        await shot(page, 'signin-' + name);
        await signIn(page, 'look-' + name, { wrapup: '60' });
        await accessible(page, 'free');
        await daemon.arrive('look-' + name, '13800138200', 'billing', { preferredAgent: 'look-' + name });
        await page.locator('.offer .history li').first().waitFor();
        await accessible(page, 'offer');
        await fits(page, 'offer');
        await shot(page, 'offer-' + name);
        await page.locator('.offer .primary').click();
        await page.locator('.talk .history li').first().waitFor();
        await accessible(page, 'talking');
        await page.locator('.talk .primary').click();
        await page.locator('.wrap').waitFor();
        await accessible(page, 'wrap-up');
        await fits(page, 'wrap-up');
        await page.locator('.bar-row button').first().click();
        await page.locator('dialog .choices button').first().waitFor();
        await accessible(page, 'reasons');
        await page.locator('dialog .choices button').first().click();
        await page.locator('.rest:not(.free)').waitFor();
        await accessible(page, 'not ready');
        await shot(page, 'paused-' + name);
      });
    }
  }
}
