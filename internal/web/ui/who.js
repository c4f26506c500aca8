// Who uses this page, as the daemon knows it.

/** Returns {asked, name, roles, sites, by}; without a name when the daemon asks
 * nobody, or does not know. */
export async function who() {
  try {
    const res = await fetch('/whoami', { cache: 'no-store', headers: { Accept: 'application/json' } });
    return res.ok ? await res.json() : { asked: true };
  } catch {
    return { asked: false };
  }
}

/** Forgets the token, and shows the page to sign in. */
export async function signOut() {
  await fetch('/logout', { method: 'POST', cache: 'no-store' }).catch(() => {});
  location.reload();
}

/** Loads the page anew when the daemon no longer knows its user: what comes then is
 * the page to sign in. */
export async function stillKnown() {
  const res = await fetch(location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  if (res?.status === 401) location.reload();
}
