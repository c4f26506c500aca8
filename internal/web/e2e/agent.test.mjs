import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Browser, clean, shot, signIn, within } from './browser.mjs';
import { Daemon } from './daemon.mjs';

let daemon, browser;
before(async () => { [daemon, browser] = [await Daemon.start(), await Browser.start()]; });
after(async () => { await browser?.close(); await daemon?.remove(); });

const pages = [];
const open = async (path, options) => {
  const page = await browser.page(daemon.url + path, options);
  pages.push(page);
  return page;
};
afterEach(async () => {
  for (const page of pages.splice(0)) { clean(page); await page.context().close(); }
});

const button = (page, name) => page.getByRole('button', { name });

test('an offer is accepted, and the wallboard follows', async () => {
  await daemon.tier('13800138001', 'VIP');
  await daemon.arrive('earlier', '13800138001');
  await daemon.hangUp('earlier');
  const wallboard = await open('/');
  const agent = await open('/agent');
  await signIn(agent, 'anna', { wrapup: '30' });
  const billing = wallboard.locator('.queue').filter({ hasText: 'billing' });
  await billing.locator('.legend .idle b').getByText('1', { exact: true }).waitFor();
  await daemon.arrive('c1', '13800138001', 'billing', { attributes: { menu: 'bill question' } });
  const offer = agent.locator('.offer');
  await offer.locator('.history li').waitFor();
  assert.match(await offer.innerText(), /VIP[\s\S]*\+86 138 0013 8001[\s\S]*queue billing[\s\S]*bill question[\s\S]*hung up after/);
  await shot(agent, 'agent-offer');
  await button(agent, /^Accept/).click();
  const pressed = performance.now();
  await billing.locator('.legend .talking b').getByText('1', { exact: true }).waitFor();
  within(1000, performance.now() - pressed, 'the wallboard follows an answer');
  await agent.locator('.talk').waitFor();
  await shot(agent, 'agent-talk');
  assert.equal((await daemon.call('SupervisorService/Explain', { callId: 'c1' })).call.agentId, 'anna');
  await button(agent, 'End call').click();
  await agent.locator('.wrap').getByText(/0:(2\d|30)/).waitFor();
  await shot(agent, 'agent-wrap');
  await button(agent, 'Ready now').click();
  await agent.locator('.rest.free').waitFor();
  await wallboard.locator('.level').filter({ hasText: 'VIP' }).getByText('50.0 %', { exact: true }).waitFor();
  await button(agent, 'Sign out').click();
  await button(agent, 'Sign in').waitFor();
});

test('a rescinded offer vanishes at once, with its reason', async () => {
  const page = await open('/agent');
  await signIn(page, 'ben');
  await daemon.arrive('r1', '13800138010');
  await page.locator('.offer').getByText('+86 138 0013 8010').waitFor();
  await daemon.hangUp('r1');
  await page.locator('.rest.free').waitFor();
  await page.getByText('Offer withdrawn: the caller hung up').waitFor();
  assert.equal(await page.locator('.offer').count(), 0);
  // A VIP takes the place of an ordinary caller.
  await daemon.tier('13800138011', 'VIP');
  await daemon.arrive('r2', '13800138012');
  await page.locator('.offer').getByText('+86 138 0013 8012').waitFor();
  await daemon.arrive('r3', '13800138011');
  await page.locator('.offer').getByText('+86 138 0013 8011').waitFor();
  await page.getByText('Offer withdrawn: a VIP needs you').waitFor();
  await button(page, /^Decline/).click();
  await page.locator('.offer').getByText(/8011|8012/).waitFor();
  await daemon.hangUp('r2');
  await daemon.hangUp('r3');
  await page.locator('.rest.free').waitFor();
});

test('the keyboard is enough', async () => {
  const page = await open('/agent');
  await signIn(page, 'carla');
  await daemon.arrive('k1', '13800138020');
  await page.locator('.offer').waitFor();
  await page.keyboard.press('Control+Enter');
  await page.locator('.talk').getByText('+86 138 0013 8020').waitFor();
  await button(page, 'Not ready…').focus();
  await page.keyboard.press('Enter');
  await button(page, 'Lunch').focus();
  await page.keyboard.press('Enter');
  await page.getByText('Not ready after this call').waitFor();
  await button(page, 'End call').click();
  await page.getByText('Not ready: Lunch').waitFor();
  await button(page, 'Go ready').click();
  await page.locator('.rest.free').waitFor();
});

test('a callback is made, and its result reported', async () => {
  await daemon.tier('13800138030', 'MID');
  await daemon.arrive('b1', '13800138030', 'support');
  await daemon.hangUp('b1');
  const page = await open('/agent');
  await signIn(page, 'dora', { queues: ['support'], until: '.offer' });
  const offer = page.locator('.offer');
  await offer.getByText('Callback to make').waitFor();
  await shot(page, 'agent-callback-offer');
  await button(page, /^Accept/).click();
  await page.locator('.callback').getByText('+86 138 0013 8030').waitFor();
  await page.reload(); // the callback stays on the desk
  await page.locator('.callback').getByText('+86 138 0013 8030').waitFor();
  await page.getByLabel('Note').fill('asks for a statement');
  await shot(page, 'agent-callback');
  await button(page, 'Reached').click();
  await page.locator('.rest.free').waitFor();
  const { callbacks } = await daemon.call('CallbackService/List', { caller: '13800138030' });
  assert.deepEqual(callbacks.map((c) => [c.state, c.lastResult, c.note]), [['CALLBACK_STATE_DONE', 'CALLBACK_RESULT_REACHED', 'asks for a statement']]);
});

test('a reload finds the call that is talked on', async () => {
  const page = await open('/agent');
  await signIn(page, 'emil');
  await daemon.arrive('l1', '13800138040');
  await button(page, /^Accept/).click();
  await page.locator('.talk').waitFor();
  await page.reload();
  await page.locator('.talk').getByText('+86 138 0013 8040').waitFor();
  await button(page, 'End call').click();
  await page.locator('.rest.free').waitFor();
});

test('a daemon that is killed and comes back finds its agents', async () => {
  const [talker, waiter, wallboard] = [await open('/agent'), await open('/agent'), await open('/')];
  await signIn(talker, 'frida');
  await daemon.arrive('d1', '13800138050');
  await button(talker, /^Accept/).click();
  await talker.locator('.talk').waitFor();
  await signIn(waiter, 'gustav');
  await daemon.arrive('d2', '13800138051');
  await waiter.locator('.offer').waitFor();
  for (const page of [talker, waiter, wallboard]) page.away = true;
  await daemon.end();
  await waiter.getByText('No connection', { exact: true }).waitFor();
  assert.equal(await waiter.locator('.offer').count(), 0, 'an offer that may be another’s by now is shown');
  await talker.getByText('Your call goes on').waitFor();
  await wallboard.getByText(/Connection lost/).waitFor();
  await wallboard.getByText(/Data from \d\d:\d\d:\d\d, \d+ s old/).waitFor();
  await shot(wallboard, 'wallboard-lost');
  await shot(talker, 'agent-lost');
  await daemon.run();
  await waiter.locator('.offer').getByText('+86 138 0013 8051').waitFor();
  await wallboard.getByText('Live').waitFor();
  await button(waiter, /^Accept/).click();
  await waiter.locator('.talk').waitFor();
  await talker.getByText('Your call goes on').waitFor({ state: 'detached' });
  await button(talker, 'End call').click();
  await talker.locator('.rest.free').waitFor();
  await button(waiter, 'End call').click();
});

test('one window at a time has the agent', async () => {
  const first = await open('/agent');
  await signIn(first, 'hanna');
  const second = await open('/agent');
  await signIn(second, 'hanna');
  await first.getByText('This agent is open in another window').waitFor();
  await daemon.arrive('t1', '13800138060');
  await second.locator('.offer').waitFor();
  assert.equal(await first.locator('.offer').count(), 0);
  await button(first, 'Use this window').click();
  await first.locator('.offer').waitFor();
  await second.getByText('This agent is open in another window').waitFor();
  assert.equal(await second.locator('.offer').count(), 0);
  await daemon.hangUp('t1');
  await first.locator('.rest.free').waitFor();
});

test('waits are counted by the daemon’s clock, whatever this one shows', async () => {
  for (const hours of [-3, 3]) {
    const context = await browser.chromium.newContext();
    const page = await context.newPage();
    await page.addInitScript((ms) => { const real = Date.now; Date.now = () => real() + ms; }, hours * 3600e3);
    await page.goto(daemon.url + '/agent');
    await signIn(page, 'ida');
    await page.getByText(/^free for 0:0\d$/).waitFor();
    await daemon.arrive('clock' + hours, '13800138070');
    await page.locator('.offer .huge').getByText(/^0:0\d$/).waitFor();
    await page.getByText(/^goes back in (1\d|20) s$/).waitFor();
    await daemon.hangUp('clock' + hours);
    await context.close();
  }
});
