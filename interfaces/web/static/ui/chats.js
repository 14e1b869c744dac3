/**
 * The list of chats, of which only those near the screen are in the document, with the search for chats and people above it.
 *
 * @module
 */

import { Component, html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { nameOf, session } from "../session.js";
import { moment, say, whenOf } from "../texts.js";
import { Avatar, Icon, useSession } from "./parts.js";

const PAUSE = 250;

/** The height of a row in rem, as style.css has it. */
const ROW = 4;

/** How many rows are in the document beyond each edge of the screen, and in which steps more are taken in. */
const SPARE = 8;
const STEP = 4;

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
  // The rows before and after the one with the focus are always in the document, and so is the first one.
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
      ${chats.length > 0 && html`<${Rows} chats=${chats} openChat=${openChat} wanted=${wanted} onPick=${pick} />`}
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

/** @typedef {import("../../../clients/javascript/index.d.ts").ChatState} ChatState */

/**
 * Those rows of the list that are near the screen, and the first, the last and the open one. The row with the focus stays, with
 * its neighbours, so that arrow keys and Tab go on from it wherever the list was scrolled to.
 */
class Rows extends Component {
  constructor(props) {
    super(props);
    this.state = { first: 0, last: 0 };
    /** The chat whose row had the focus last. @type {string | null} */
    this.focused = null;
    /** The chat that was open last: its row gets the focus when the conversation is left. @type {string | null} */
    this.opened = null;
    this.list = null;
    this.look = this.look.bind(this);
    this.onFocusIn = this.onFocusIn.bind(this);
    this.onFocusOut = this.onFocusOut.bind(this);
  }

  componentDidMount() {
    this.scroller = this.list.parentElement;
    this.scroller.addEventListener("scroll", this.look, { passive: true });
    this.watching = new ResizeObserver(this.look);
    this.watching.observe(this.scroller);
    this.list.addEventListener("focusin", this.onFocusIn);
    this.list.addEventListener("focusout", this.onFocusOut);
    this.show();
    this.look();
  }

  componentWillUnmount() {
    this.watching.disconnect();
    this.scroller.removeEventListener("scroll", this.look);
  }

  /** The height of a row, and how far the list was scrolled, in pixels. */
  measured() {
    const box = this.list.getBoundingClientRect();
    return { row: box.height / this.props.chats.length, top: this.scroller.getBoundingClientRect().top - box.top };
  }

  /** Takes the rows near the screen into the document. */
  look() {
    const { row, top } = this.measured();
    if (row === 0) return; // nobody sees the list
    const first = Math.max(0, Math.floor((top / row - SPARE) / STEP) * STEP);
    const last = Math.max(first, Math.ceil(((top + this.scroller.clientHeight) / row + SPARE) / STEP) * STEP);
    if (first !== this.state.first || last !== this.state.last) this.setState({ first, last });
  }

  /** The chats that can be seen, by their places. */
  getSnapshotBeforeUpdate(before) {
    if (this.scroller.scrollTop === 0) return null;
    const box = this.list.getBoundingClientRect();
    const { top } = this.scroller.getBoundingClientRect();
    const row = box.height / before.chats.length;
    const from = Math.max(0, Math.ceil((top - box.top) / row));
    return before.chats.slice(from, from + Math.ceil(this.scroller.clientHeight / row)).map(({ chat }, number) => [chat.id, from + number]);
  }

  componentDidUpdate(before, _state, seen) {
    const { chats, openChat, wanted } = this.props;
    if (wanted !== before.wanted) this.scroller.scrollTop = 0;
    else if (seen !== null && chats !== before.chats) {
      // What is read stays where it is when chats above it come or go: most of the rows tell how far they moved.
      const places = new Map(chats.map(({ chat }, place) => [chat.id, place]));
      const moved = seen.filter(([id]) => places.has(id)).map(([id, place]) => places.get(id) - place).sort((a, b) => a - b);
      const step = moved[moved.length >> 1] ?? 0;
      if (step !== 0) this.scroller.scrollTop += step * this.measured().row;
    }
    if (openChat !== before.openChat) this.show();
    this.look();
  }

  /** Scrolls to the open chat, unless it can be seen. */
  show() {
    const place = this.props.chats.findIndex(({ chat }) => chat.id === this.props.openChat);
    if (place < 0) return;
    const { row, top } = this.measured();
    const below = (place + 1) * row - this.scroller.clientHeight;
    if (place * row < top) this.scroller.scrollTop += place * row - top;
    else if (below > top) this.scroller.scrollTop += below - top;
  }

  onFocusIn({ target }) {
    this.focused = target.closest("[data-chat]")?.dataset.chat ?? null;
    this.forceUpdate();
  }

  onFocusOut({ relatedTarget }) {
    // Without another element the window has lost the focus, and gives it back to this row.
    if (relatedTarget !== null) this.focused = null;
  }

  render({ chats, openChat, onPick }, { first, last }) {
    const { messenger, presence } = session;
    this.opened = openChat ?? this.opened;
    const places = new Set([0, chats.length - 1]);
    for (let place = first; place < last; place++) places.add(place);
    chats.forEach(({ chat }, place) => {
      if (chat.id === this.opened) places.add(place);
      if (chat.id === this.focused) for (const near of [place - 1, place, place + 1]) places.add(near);
    });
    const shown = [...places].filter((place) => place in chats).sort((a, b) => a - b);
    return html`<div class="list" role="list" ref=${(element) => (this.list = element ?? this.list)} style=${{ height: `${chats.length * ROW}rem` }}>
      ${shown.map((place) => {
        const chat = chats[place];
        const { id, other } = chat.chat;
        return html`<div role="listitem" key=${id} data-chat=${id} aria-posinset=${place + 1} aria-setsize=${chats.length} style=${{ top: `${place * ROW}rem` }}>
          <${Row} chat=${chat} isOpen=${id === openChat} outgoing=${messenger.outbox.of(id).at(-1)} isThere=${presence.get(other?.id ?? "")?.online === true} typing=${isTyping(id)} onPick=${onPick} />
        </div>`;
      })}
    </div>`;
  }
}

/** @param {string} chatId */
const isTyping = (chatId) => [...(session.typists.get(chatId)?.values() ?? [])].some((end) => end > Date.now());

/** @param {{chat: ChatState, isOpen: boolean, outgoing: any, isThere: boolean, typing: boolean, onPick: any}} props */
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
