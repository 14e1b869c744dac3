/**
 * One chat: its messages, of which only those near the screen are in the document, and the field to write in.
 *
 * @module
 */

import { Component, html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { nameOf, session } from "../session.js";
import { dayOf, isSameDay, moment, say, timeOf, whenOf } from "../texts.js";
import { Avatar, Icon, isEmoji, linked, useSession } from "./parts.js";

/** How many messages are taken in at an edge, and the least number that is in the document. */
const STEP = 12;
const FEWEST = 48;

/** The least height of a message, in pixels. */
const LOWEST = 39;

/** Pixels from an edge at which more messages are taken in. */
const NEAR = 400;

/** Pixels from the end that still count as the end. */
const AT_END = 40;

/** Messages of one person within so many milliseconds stand together. */
const TOGETHER = 5 * 60_000;

/** Where one was in each chat: the first message on the screen and its offset, or null at the end. @type {Map<string, {seq: number, top: number} | null>} */
const places = new Map();

export function Conversation() {
  const { openChat, chat, messenger } = useSession();
  if (openChat === null || messenger === null) return html`<main class="conversation nothing"><h1 class="unseen">${say.messenger}</h1><p>${say.pickChat}</p></main>`;
  if (chat === undefined) return html`<${Gone} isGone=${messenger.model.next === null} outgoing=${messenger.outbox.of(openChat)} />`;
  return html`<main class="conversation" key=${openChat} aria-label=${chat.chat.name}>
    <${Header} chat=${chat} />
    <${Messages} chat=${chat} outgoing=${messenger.outbox.of(openChat)} />
    <${Composer} chatId=${openChat} />
  </main>`;
}

/** A chat that is not ours any more, with what was not sent to it: somebody wrote that. */
const Gone = ({ isGone, outgoing }) => html`<main class="conversation nothing">
  <h1 class="unseen">${say.messenger}</h1>
  <div>
    <p>${isGone ? say.refusedWhy.chat_not_found : say.loading}</p>
    ${outgoing.map((entry) => html`<${Outgoing} key=${entry.nonce} entry=${entry} />`)}
  </div>
</main>`;

function Header({ chat }) {
  const { id, name, kind, member_count } = chat.chat;
  const typists = [...(session.typists.get(id) ?? [])].filter(([, end]) => end > Date.now()).map(([who]) => who);
  const members = session.members.get(id);
  const { other } = chat.chat;
  const presence = session.presence.get(other?.id ?? "");
  const typist = typists.length === 1 ? members?.find(({ profile }) => profile.id === typists[0])?.profile : undefined;
  let about = kind === "group" ? say.members(member_count) : other?.username ? `@${other.username}` : "";
  if (presence?.online) about = say.online;
  else if (presence?.last_seen_at) about = say.lastSeen(whenOf(moment(presence.last_seen_at)));
  if (typists.length > 0) about = kind === "direct" ? say.typing : typist ? say.typingOne(nameOf(typist)) : typists.length === 1 ? say.typing : say.typingMany;
  return html`<header class="top">
    <button type="button" class="plain round back" aria-label=${say.back} onClick=${() => session.open(null)}><${Icon} name="back" /></button>
    <${Avatar} id=${id} name=${name} />
    <div class="about">
      <h1><bdi>${name}</bdi></h1>
      <p class=${typists.length > 0 ? "typing" : ""} aria-live="polite"><bdi>${about}</bdi></p>
    </div>
    ${kind === "group" && html`<button type="button" class="plain round" aria-label=${say.details} onClick=${() => session.show({ type: "group", chat_id: id })}><${Icon} name="info" /></button>`}
  </header>`;
}

class Messages extends Component {
  constructor(props) {
    super(props);
    const { chat } = props;
    const place = places.get(chat.chat.id);
    const hasNew = chat.unread_count > 0;
    /** The last message that was read when the chat was opened: the divider stands behind it. */
    this.divider = hasNew ? chat.read_up_to : null;
    this.goal = hasNew ? { type: "divider" } : place ? { type: "place", ...place } : { type: "end" };
    const around = hasNew ? chat.read_up_to : (place?.seq ?? chat.seq);
    const hi = Math.min(chat.seq, around + FEWEST / 2);
    this.state = { lo: Math.max(1, hi - FEWEST + 1), hi };
    this.sticks = this.goal.type === "end";
    /** Where the person reads to, -1 for older messages. Only on that side more is taken in, or both sides could take turns forever. */
    this.heading = hasNew ? 1 : -1;
    this.top = 0;
    this.scroller = null;
    this.onScroll = this.onScroll.bind(this);
  }

  componentDidMount() {
    this.size = this.sizeNow();
    this.look();
    this.componentDidUpdate(this.props, this.state, null);
    this.watching = new ResizeObserver(() => this.sticks && this.toEnd());
    this.watching.observe(this.scroller);
    this.onVisible = () => this.mark();
    document.addEventListener("visibilitychange", this.onVisible);
  }

  componentWillUnmount() {
    this.watching.disconnect();
    cancelAnimationFrame(this.frame);
    document.removeEventListener("visibilitychange", this.onVisible);
    places.set(this.props.chat.chat.id, this.sticks ? null : this.anchor());
  }

  /** How many messages are in the document at most. */
  get most() {
    return Math.max(FEWEST, Math.ceil((this.scroller?.clientHeight ?? 0) / LOWEST) + 2 * STEP);
  }

  sizeNow() {
    return `${this.scroller.clientWidth} ${this.scroller.clientHeight}`;
  }

  /** The first message that is on the screen, and where. */
  anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    for (const element of this.scroller.querySelectorAll("[data-seq]")) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top) return { seq: Number(element.dataset.seq), top: box.top - top };
    }
    return null;
  }

  getSnapshotBeforeUpdate() {
    // Somebody has scrolled up, and the event is still to come.
    if (this.sticks && this.goal === null && this.top - this.scroller.scrollTop > AT_END && this.size === this.sizeNow()) this.sticks = false;
    return this.sticks ? null : this.anchor();
  }

  componentDidUpdate(before, _state, anchor) {
    const { chat, outgoing } = this.props;
    if (chat.seq > before.chat.seq && this.state.hi === before.chat.seq && (this.sticks || chat.seq - this.state.hi <= STEP)) this.range(this.state.lo, chat.seq);
    if (chat.seq < this.state.hi) this.range(chat.seq - this.most + 1, chat.seq); // another history
    if (outgoing.length > before.outgoing.length) this.newest();
    this.reach(anchor);
    this.mark();
    // In the next frame: taking in more renders again, and a chain of that would keep the page from listening.
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.look());
  }

  /** Scrolls to where it should be, as soon as that is there; otherwise what is read stays where it is. */
  reach(anchor) {
    const { goal, scroller } = this;
    if (goal?.type === "divider") {
      const element = scroller.querySelector(".divider");
      if (element === null) return;
      scroller.scrollTop += element.getBoundingClientRect().top - scroller.getBoundingClientRect().top - scroller.clientHeight / 4;
      this.top = scroller.scrollTop;
      this.goal = null;
    } else if (goal?.type === "place") {
      if (!this.stand(goal)) return;
      this.goal = null;
    } else if (goal?.type === "end") {
      if (scroller.querySelector("[data-seq], .outgoing") === null && this.props.chat.seq > 0) return;
      this.goal = null;
      this.toEnd();
    } else if (this.sticks) this.toEnd();
    else if (anchor !== null && !this.stand(anchor)) {
      // What was read is not loaded any more: the chat was read anew.
      const { chat } = this.props;
      if (anchor.seq <= chat.seq && !chat.messages.has(anchor.seq)) this.goal = { type: "place", ...anchor };
    }
  }

  /** Puts a message where it was on the screen. */
  stand({ seq, top }) {
    const element = this.scroller.querySelector(`[data-seq="${seq}"]`);
    if (element === null) return false;
    const moved = element.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - top;
    if (Math.abs(moved) >= 1) this.scroller.scrollTop += moved;
    this.top = this.scroller.scrollTop;
    return true;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.top = this.scroller.scrollTop;
  }

  range(lo, hi) {
    const first = Math.max(1, lo);
    if (first !== this.state.lo || hi !== this.state.hi) this.setState({ lo: first, hi });
  }

  /** Asks for what is missing, and takes in more near the edges. */
  look() {
    const { chat } = this.props;
    const { lo, hi } = this.state;
    const { scroller, most } = this;
    let missing = false;
    for (let seq = lo; seq <= hi && !missing; seq++) missing = !chat.messages.has(seq);
    if (missing) {
      void session.load(chat.chat.id, lo, hi);
      return;
    }
    if (this.goal !== null) return;
    const toEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    if (this.heading < 0 && scroller.scrollTop < NEAR && lo > 1 && !(this.sticks && hi - lo >= most)) this.grow(Math.max(1, lo - STEP), Math.min(hi, Math.max(1, lo - STEP) + most - 1));
    else if (this.heading > 0 && toEnd < NEAR && hi < chat.seq) {
      const next = Math.min(chat.seq, hi + STEP);
      this.grow(Math.max(lo, next - most + 1), next);
    }
  }

  /** Takes another range as soon as all of it was loaded. */
  grow(lo, hi) {
    const { chat } = this.props;
    for (let seq = lo; seq <= hi; seq++)
      if (!chat.messages.has(seq)) {
        void session.load(chat.chat.id, Math.max(1, lo - 2 * STEP), Math.min(chat.seq, hi + 2 * STEP));
        return;
      }
    this.range(lo, hi);
  }

  onScroll() {
    const { scroller, props, state } = this;
    const size = this.sizeNow();
    if (size !== this.size) {
      // The window was resized, and nobody has scrolled.
      this.size = size;
      if (this.sticks) {
        this.toEnd();
        return;
      }
    }
    const moved = scroller.scrollTop - this.top;
    this.top = scroller.scrollTop;
    if (this.goal !== null) return; // nobody has scrolled: what was there is gone, or not there yet
    if (moved !== 0) this.heading = Math.sign(moved);
    const toEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const sticks = toEnd < AT_END && state.hi === props.chat.seq;
    this.sticks = sticks;
    if (sticks !== this.shownSticking) this.forceUpdate();
    this.look();
    this.mark();
  }

  /** Marks what was on the screen as read, while somebody may look at it. */
  mark() {
    if (document.visibilityState !== "visible" || this.goal !== null || this.props.chat.unread_count === 0) return;
    const bottom = this.scroller.getBoundingClientRect().bottom + 8;
    let seen = 0;
    for (const element of this.scroller.querySelectorAll("[data-seq]")) {
      if (element.getBoundingClientRect().bottom > bottom) break;
      seen = Number(element.dataset.seq);
    }
    if (seen > 0) session.read(this.props.chat.chat.id, seen);
  }

  /** Jumps to the newest message. */
  newest() {
    const { seq } = this.props.chat;
    this.sticks = true;
    this.goal = { type: "end" };
    const lo = Math.max(1, seq - this.most + 1);
    if (lo === this.state.lo && seq === this.state.hi) this.forceUpdate();
    else this.range(lo, seq);
  }

  render({ chat, outgoing }, { lo, hi }) {
    this.shownSticking = this.sticks;
    const own = session.messenger.model.profileId;
    const rows = [];
    let previous = null;
    for (let seq = lo; seq <= hi; seq++) {
      const message = chat.messages.get(seq);
      if (message === undefined) continue;
      const sent = moment(message.sent_at);
      const isNewDay = previous === null || !isSameDay(moment(previous.sent_at), sent);
      if (isNewDay) rows.push(html`<p class="day" key=${`day ${seq}`}>${dayOf(sent)}</p>`);
      const isFirstNew = this.divider !== null && seq === this.divider + 1;
      if (isFirstNew) rows.push(html`<p class="divider" role="separator" key="divider"><span>${say.newMessages}</span></p>`);
      const isFirst = isNewDay || isFirstNew || previous?.sender_id !== message.sender_id || sent.getTime() - moment(previous.sent_at).getTime() > TOGETHER;
      const isOwn = message.sender_id === own;
      rows.push(html`<${Message} key=${message.id} message=${message} isOwn=${isOwn} isFirst=${isFirst} isGroup=${chat.chat.kind === "group"} isRead=${isOwn && (message.read_at !== null || seq <= chat.others_read_up_to)} />`);
      previous = message;
    }
    if (hi >= chat.seq) for (const entry of outgoing) if (entry.seq === null || !chat.messages.has(entry.seq)) rows.push(html`<${Outgoing} key=${entry.nonce} entry=${entry} />`);
    const isEmpty = chat.seq === 0 && outgoing.length === 0;
    return html`<div class="history">
      <div class="scroller" ref=${(element) => (this.scroller = element ?? this.scroller)} onScroll=${this.onScroll} tabindex="0" role="log" aria-live="off" aria-label=${say.messages}>
        <div class=${`lines ${chat.chat.kind}`}>
          ${isEmpty && html`<p class="hint">${say.empty}</p>`}
          ${rows}
        </div>
      </div>
      ${!this.sticks &&
      html`<button type="button" class="jump" aria-label=${chat.unread_count > 0 ? `${say.jump}. ${say.unread(chat.unread_count)}` : say.jump} onClick=${() => this.newest()}>
        <${Icon} name="down" />${chat.unread_count > 0 && html`<span class="badge">${chat.unread_count}</span>`}
      </button>`}
    </div>`;
  }
}

/** A message does not change, except that it is read: only then it is rendered again. */
class Message extends Component {
  shouldComponentUpdate(next) {
    const now = this.props;
    return next.message !== now.message || next.isRead !== now.isRead || next.isFirst !== now.isFirst;
  }

  render({ message, isOwn, isFirst, isGroup, isRead }) {
    const time = timeOf(moment(message.sent_at));
    const name = isOwn ? say.you : nameOf(message.sender);
    const large = isEmoji(message.text) ? "emoji" : "";
    return html`<div class=${`message ${isOwn ? "own" : ""} ${isFirst ? "first" : ""}`} data-seq=${message.seq}>
      ${isGroup && !isOwn && isFirst && html`<${Avatar} id=${message.sender_id} name=${name} size="small" />`}
      <div class=${`bubble ${large}`} role="group" aria-label=${say.messageFrom(name, time)}>
        ${isGroup && !isOwn && isFirst && html`<bdi class="author">${name}</bdi>`}
        <div class="said" dir="auto">
          <span class="text">${linked(message.text)}</span>
          ${isOwn && isGroup
            ? html`<button type="button" class="meta" onClick=${() => session.show({ type: "readers", message })}><span class="unseen">${isRead ? say.read : say.sent}. ${say.readBy}. </span>${time} ${isRead ? "✓✓" : "✓"}</button>`
            : html`<span class="meta">${isOwn && html`<span class="unseen">${isRead ? say.read : say.sent}. </span>`}${time}${isOwn ? (isRead ? " ✓✓" : " ✓") : ""}</span>`}
        </div>
      </div>
    </div>`;
  }
}

function Outgoing({ entry }) {
  const isRefused = entry.state === "refused";
  const state = isRefused ? say.notSent : entry.state === "waiting" ? say.waiting : entry.state === "stored" ? say.sent : say.sending;
  return html`<div class=${`message own outgoing ${isRefused ? "refused" : ""}`} data-nonce=${entry.nonce} data-state=${entry.state}>
    <div class=${`bubble ${isEmoji(entry.text) ? "emoji" : ""}`} role="group" aria-label=${`${say.you}. ${state}`}>
      <div class="said" dir="auto">
        <span class="text">${linked(entry.text)}</span>
        <span class="meta">${entry.state === "stored" ? "✓" : isRefused ? "!" : "◌"}</span>
      </div>
      ${isRefused &&
      html`<p class="why">
        ${say.notSent}. ${say.refusedWhy[entry.error] ?? ""}
        <button type="button" class="link" onClick=${() => session.messenger.retry(entry.nonce)}>${say.retry}</button>
        <button type="button" class="link" onClick=${() => session.messenger.discard(entry.nonce)}>${say.discard}</button>
      </p>`}
    </div>
  </div>`;
}

const DRAFTS = "messenger-draft ";

/** How often the others are told that one types, and after how long a pause one does not any more: milliseconds. */
const TELL_EVERY = 3000;
const IDLE = 5000;

function Composer({ chatId }) {
  const key = `${DRAFTS}${session.messenger.model.profileId} ${chatId}`;
  const [text, setText] = useState(() => localStorage.getItem(key) ?? "");
  const field = useRef(null);
  const told = useRef(0);
  const idle = useRef(0);
  const over = [...text].length - session.messenger.limits.text;

  useLayoutEffect(() => {
    const element = field.current;
    element.style.height = "auto";
    const borders = element.offsetHeight - element.clientHeight;
    element.style.height = `${Math.min(element.scrollHeight + borders, innerHeight / 3)}px`;
  }, [text]);
  useEffect(() => {
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus({ preventScroll: true });
    return () => stop();
  }, []);

  const stop = () => {
    clearTimeout(idle.current);
    if (told.current !== 0) session.messenger?.typing(chatId, false);
    told.current = 0;
  };
  const write = (value) => {
    setText(value);
    if (value === "") localStorage.removeItem(key);
    else localStorage.setItem(key, value);
    if (value.trim() === "") {
      stop();
      return;
    }
    if (Date.now() - told.current > TELL_EVERY) {
      told.current = Date.now();
      session.messenger.typing(chatId, true);
    }
    clearTimeout(idle.current);
    idle.current = setTimeout(stop, IDLE);
  };
  const send = () => {
    if (text.trim() === "" || over > 0) return;
    session.messenger.send(chatId, text.trim());
    write("");
    field.current?.focus();
  };
  const key_ = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  };
  return html`<form class="composer" onSubmit=${(event) => (event.preventDefault(), send())}>
    <textarea ref=${field} rows="1" dir="auto" aria-label=${say.write} placeholder=${say.write} value=${text} onInput=${(event) => write(event.currentTarget.value)} onKeyDown=${key_} enterkeyhint="send"></textarea>
    ${over > 0 && html`<span class="over" role="alert">${say.tooLong(over)}</span>`}
    <button class="send round" aria-label=${say.send} aria-disabled=${text.trim() === "" || over > 0 ? "true" : "false"}><${Icon} name="send" /></button>
  </form>`;
}
