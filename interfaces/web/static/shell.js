/**
 * Keeps the shell of this page in the browser, so that it is shown while the server cannot be reached, and hears of newer
 * versions.
 *
 * @module
 */

const { worker, digest } = document.body.dataset;

/** The only name of a policy that the page may have. It makes one address one that may be loaded as a script. */
const policy = globalThis.trustedTypes?.createPolicy("messenger-worker", {
  createScriptURL: (address) => {
    if (address !== worker) throw new TypeError("not the worker of this page");
    return address;
  },
});

/** @type {ServiceWorkerRegistration | null} */
let registration = null;

/** Without a worker everything works while there is a connection. @param {() => void} onNewer called when the server has another version than this page */
export async function keepShell(onNewer) {
  if (worker === undefined || registration !== null || !("serviceWorker" in navigator)) return;
  navigator.serviceWorker.addEventListener("message", ({ data }) => data.digest !== digest && onNewer());
  try {
    registration = await navigator.serviceWorker.register(/** @type {string} */ (/** @type {unknown} */ (policy?.createScriptURL(worker) ?? worker)), { updateViaCache: "none" });
  } catch {
    registration = null; // storage is forbidden or full
  }
}

/** Asks for a newer version, as after a break of the connection: the server may have been replaced in it. */
export const lookForNewer = () => registration?.update().catch(() => {});
