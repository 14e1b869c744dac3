/**
 * The web client: puts the screens together, and listens to the keyboard and to the state of the page.
 *
 * @module
 */

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { session } from "./session.js";
import { say } from "./texts.js";
import { Chats } from "./ui/chats.js";
import { Conversation } from "./ui/conversation.js";
import { Dialogs } from "./ui/dialogs.js";
import { Entrance } from "./ui/entrance.js";
import { keepFocus } from "./ui/focus.js";
import { useSession } from "./ui/parts.js";

/** Milliseconds without a connection after which that is shown: a break that is over at once is nobody's concern. */
const SHOWN_AFTER = 1500;

function Banner() {
  const { lostAt, messenger } = useSession();
  const [, turn] = useState(0);
  useEffect(() => {
    if (lostAt === null) return undefined;
    const timer = setTimeout(() => turn((count) => count + 1), SHOWN_AFTER + 10);
    return () => clearTimeout(timer);
  }, [lostAt]);
  if (messenger?.state === "ended") return html`<p class="banner" role="status">${say.ended}: ${messenger.why} <button type="button" class="link" onClick=${() => messenger.start()}>${say.reconnect}</button></p>`;
  const isOffline = navigator.onLine === false; // the browser knows it before the socket does
  const isShown = isOffline || (lostAt !== null && Date.now() - lostAt >= SHOWN_AFTER);
  if (!isShown) return html`<p class="banner" role="status" hidden></p>`;
  return html`<p class="banner" role="status">
    ${isOffline || messenger?.state === "waiting" ? say.offline : say.connecting}
    ${messenger?.state === "waiting" && html`<button type="button" class="link" onClick=${() => messenger.check()}>${say.reconnect}</button>`}
  </p>`;
}

/** Tells screen readers of messages as they come. The list of messages cannot: it also gets old ones, while one scrolls. */
function News() {
  const { heard } = useSession();
  return html`<p class="unseen" role="status">${heard !== null && html`<span key=${heard.number}>${heard.text}</span>`}</p>`;
}

/** Offers to load the page again, if the server has a newer one. Nothing is lost by that: drafts and what was not sent are kept. */
function Newer() {
  const { isOld } = useSession();
  return html`<p class="newer" role="status" hidden=${!isOld}>${isOld && html`${say.newer} <button type="button" class="link" onClick=${() => location.reload()}>${say.reload}</button>`}</p>`;
}

function App() {
  const { phase, openChat, messenger } = useSession();
  const unread = messenger?.model.unread ?? 0;
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${say.messenger}` : say.messenger;
    const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
    const wanted = icon.href.replace(/icon(-unread)?\.svg$/, unread > 0 ? "icon-unread.svg" : "icon.svg");
    if (icon.href !== wanted) icon.href = wanted;
  }, [unread]);
  switch (phase) {
    case "starting":
      return html`<p class="starting" role="status">${say.loading}</p>`;
    case "signed_out":
      return html`<${Entrance} />`;
    case "unreachable":
      return html`<p class="banner" role="status">${say.offline}</p><main class="entrance"><div class="card"><div class="brand" aria-hidden="true"></div><h1>${say.messenger}</h1><p>${say.unreachable}</p><button type="button" class="main" onClick=${() => session.begin()}>${say.retry}</button></div></main>`;
    case "another":
      return html`<main class="entrance"><div class="card"><h1>${say.messenger}</h1><p role="alert">${say.otherTab}</p><button type="button" class="main" onClick=${() => location.reload()}>${say.reload}</button></div></main>`;
    default:
      return html`<div class=${`app ${openChat === null ? "" : "open"}`}><${Banner} /><${Chats} /><${Conversation} /><${News} /><${Newer} /><${Dialogs} /></div>`;
  }
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (session.phase !== "signed_in" || event.defaultPrevented) return;
  const isWriting = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  if (session.dialog !== null) return; // a dialog has its own keys
  if (event.key === "k" && (event.ctrlKey || event.metaKey)) document.getElementById("search")?.focus();
  else if ((event.key === "?" && !isWriting) || (event.key === "/" && (event.ctrlKey || event.metaKey))) session.show({ type: "help" });
  else if (event.key === "," && (event.ctrlKey || event.metaKey)) session.show({ type: "menu" });
  else if (event.altKey && event.key === "ArrowDown") session.step(1);
  else if (event.altKey && event.key === "ArrowUp") session.step(-1);
  else if (event.key === "Escape" && session.openChat !== null) {
    const row = /** @type {HTMLElement | null} */ (document.querySelector("nav .row[aria-current]"));
    session.open(null);
    setTimeout(() => row?.focus()); // in a narrow window it can be seen only then
  } else return;
  event.preventDefault();
}

document.addEventListener("keydown", onKey);
for (const type of ["online", "offline"]) addEventListener(type, () => session.changed());
addEventListener("hashchange", () => session.phase === "signed_in" && session.open(location.hash.slice(1) || null));
addEventListener("online", () => session.phase === "unreachable" && void session.begin());
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
keepFocus(root);
render(html`<${App} />`, root);
void session.begin();
