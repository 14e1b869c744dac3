/**
 * The service worker of the web client: shows its shell while the server cannot be reached.
 *
 * It keeps the page and its files and nothing else: answers of the interface pass by it, and no request with a token is ever
 * looked at. The server writes `SHELL` before this text: the digest of the files, the path of the page, and the paths of the
 * files. Another digest is another worker, which browsers take in by themselves.
 */

/** Caches of this messenger begin like this; several may live on one host. */
const FAMILY = `messenger shell ${SHELL.page} `;
const CACHE = FAMILY + SHELL.digest;
const FILES = new Set(SHELL.files);

/** Statuses of a proxy whose server does not answer. */
const AWAY = [502, 503, 504];

addEventListener("install", (event) => event.waitUntil(install()));
addEventListener("activate", (event) => event.waitUntil(activate()));
addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) return;
  if (mode === "navigate" && pathname === SHELL.page) event.respondWith(page(event.request));
  else if (FILES.has(pathname)) event.respondWith(file(event.request));
});

/** Takes in the whole shell or, if the server is of another version by now, nothing. */
async function install() {
  const answer = await fetch(SHELL.page, { cache: "no-store", credentials: "omit" });
  if (!answer.ok || !(await answer.clone().text()).includes(SHELL.digest)) throw new Error("the server has another version");
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL.files);
  await cache.put(SHELL.page, answer);
  await skipWaiting(); // a page loads its files at once, so that an older one does not miss what is deleted
}

async function activate() {
  for (const name of await caches.keys()) if (name.startsWith(FAMILY) && name !== CACHE) await caches.delete(name);
  await clients.claim();
  for (const client of await clients.matchAll({ type: "window" })) client.postMessage({ digest: SHELL.digest });
}

/** The newest page, or the kept one. @param {Request} request */
async function page(request) {
  try {
    const answer = await fetch(request);
    return (AWAY.includes(answer.status) && (await kept(SHELL.page))) || answer;
  } catch (error) {
    const found = await kept(SHELL.page);
    if (found === undefined) throw error;
    return found;
  }
}

/** A file, which never changes under its name. @param {Request} request */
const file = async (request) => (await kept(request)) ?? (await fetch(request));

/** @param {RequestInfo} what */
const kept = async (what) => (await caches.open(CACHE)).match(what, { ignoreVary: true, ignoreSearch: true });
