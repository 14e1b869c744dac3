/**
 * The list of chats, with the search for chats and people above it.
 *
 * @module
 */

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { nameOf, session } from "../session.js";
import { moment, say, whenOf } from "../texts.js";
import { Avatar, Icon, useSession } from "./parts.js";

const PAUSE = 250;

export function Chats() {
  const { messenger, openChat } = useSession();
  const [query, setQuery] = useState("");
  const [people, setPeople] = useState(/** @type {any[] | null} */ (null));
  const list = useRef(null);
  const wanted = query.trim().toLocaleLowerCase();

  useEffect(() => {
    setPeople(null);
    if (wanted === "") return undefined;
    let isOld = false;
    const timer = setTimeout(async () => {
      const found = await session.find(query.trim()).catch(() => []);
      if (!isOld) setPeople(found);
    }, PAUSE);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [wanted]);

  if (messenger === null) return null;
  const all = messenger.model.list();
  const chats = wanted === "" ? all : all.filter(({ chat }) => chat.name.toLocaleLowerCase().includes(wanted));

  const pick = (open) => {
    setQuery("");
    open();
  };
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || event.altKey) return;
    const rows = [...list.current.querySelectorAll("button.row")];
    const at = rows.indexOf(document.activeElement);
    const next = rows[Math.max(at + step, 0)];
    if (next !== undefined) {
      event.preventDefault();
      next.focus();
    }
  };

  return html`<nav class="chats" aria-label=${say.chats} onKeyDown=${move}>
    <header>
      <button type="button" class="plain round" aria-label=${say.menu} onClick=${() => session.show({ type: "menu" })}><${Icon} name="menu" /></button>
      <label class="search">
        <${Icon} name="search" />
        <input id="search" type="search" placeholder=${say.searchHint} aria-label=${say.search} value=${query} dir="auto" onInput=${(event) => setQuery(event.currentTarget.value)} />
      </label>
      <button type="button" class="plain round" aria-label=${say.newGroup} title=${say.newGroup} onClick=${() => session.show({ type: "new_group" })}><${Icon} name="group" /></button>
    </header>
    <div class="rows" ref=${list}>
      ${chats.map((chat) => html`<${Row} key=${chat.chat.id} chat=${chat} isOpen=${chat.chat.id === openChat} outgoing=${messenger.outbox.of(chat.chat.id).at(-1)} isThere=${session.presence.get(chat.chat.other?.id ?? "")?.online === true} typing=${isTyping(chat.chat.id)} onPick=${pick} />`)}
      ${people !== null &&
      html`<h2>${say.people}</h2>
        ${people.map(
          (person) => html`<button type="button" class="row" key=${person.id} onClick=${() => pick(() => session.talkTo(person.id).catch(() => {}))}>
            <${Avatar} id=${person.id} name=${nameOf(person)} />
            <span class="what"><bdi class="name">${nameOf(person)}</bdi><span class="last">${person.username ? `@${person.username}` : ""}</span></span>
          </button>`,
        )}
        ${people.length === 0 && html`<p class="hint">${say.noPeople}</p>`}`}
      ${all.length === 0 && wanted === "" && messenger.model.next === null && html`<p class="hint"><b>${say.noChats}</b><br />${say.noChatsHint}</p>`}
    </div>
  </nav>`;
}

/** @param {string} chatId */
const isTyping = (chatId) => [...(session.typists.get(chatId)?.values() ?? [])].some((end) => end > Date.now());

/** @param {{chat: import("../../../clients/javascript/index.d.ts").ChatState, isOpen: boolean, outgoing: any, isThere: boolean, typing: boolean, onPick: any}} props */
function Row({ chat: { chat, last_message: last, unread_count: unread }, isOpen, outgoing, isThere, typing, onPick }) {
  const isOwn = last?.sender_id === session.messenger?.model.profileId;
  const author = outgoing || isOwn ? say.you : nameOf(last?.sender);
  const text = outgoing?.text ?? last?.text ?? "";
  const withAuthor = chat.kind === "group" || outgoing || isOwn;
  return html`<button type="button" class="row" aria-current=${isOpen ? "true" : undefined} onClick=${() => onPick(() => session.open(chat.id))}>
    <${Avatar} id=${chat.id} name=${chat.name} />
    ${isThere && html`<span class="there" role="img" aria-label=${say.online}></span>`}
    <span class="what">
      <bdi class="name">${chat.name}</bdi>
      <time>${last ? whenOf(moment(last.sent_at)) : ""}</time>
      ${typing ? html`<span class="last typing">${say.typing}</span>` : html`<span class="last" dir="auto">${text && withAuthor ? html`<bdi>${author}</bdi>: ` : ""}${text.slice(0, 120)}</span>`}
      ${unread > 0 && html`<span class="badge" aria-label=${say.unread(unread)}>${unread > 999 ? "999+" : unread}</span>`}
    </span>
  </button>`;
}
