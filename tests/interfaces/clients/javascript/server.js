// A server of `/ws` in a few lines, which follows docs/protocol.md, and a network between it and one core that does not.

import { Core } from "../../../../interfaces/clients/javascript/core.js";

export const ME = "me";

/** Numbers from a seed (mulberry32), so that a run repeats. */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const person = (id) => ({ id, first_name: id, last_name: null, middle_name: null, username: null });

export class Server {
  epoch = "e1";
  chats = new Map();
  /** What happened in all chats, in order: the cursor is a place in it. */
  log = [];
  stored = new Map();
  page = 2;
  gapBeyond = 10;

  add(id) {
    this.chats.set(id, { id, name: id, log: [], messages: [], read: 0, members: 2 });
    this.log.push({ type: "chat_added", chat_id: id });
    return this.live({ type: "chat_added", chat_id: id, chat: this.entry(id) });
  }

  remove(id) {
    this.chats.delete(id);
    const frame = { type: "chat_removed", chat_id: id, reason: "removed" };
    this.log.push(frame);
    return this.live(frame);
  }

  #happens(id, frame) {
    const chat = this.chats.get(id);
    const position = chat.log.length + 1;
    const whole = { ...frame, chat_id: id, position, after: position - 1 };
    chat.log.push(whole);
    this.log.push(whole);
    return this.live(whole);
  }

  say(id, sender, text, nonce) {
    const chat = this.chats.get(id);
    const message = { id: `${id}/${chat.messages.length + 1}`, chat_id: id, seq: chat.messages.length + 1, text, sender_id: sender, sender: person(sender), sent_at: String(this.log.length).padStart(9, "0"), read_at: null };
    if (nonce !== undefined) message.nonce = nonce;
    message.position = chat.log.length + 1;
    chat.messages.push(message);
    this.#happens(id, { type: "new_message", message });
    return message;
  }

  rename(id, name) {
    this.chats.get(id).name = name;
    this.#happens(id, { type: "chat_changed", name, description: null, by: "them" });
  }

  join(id) {
    this.chats.get(id).members++;
    this.#happens(id, { type: "member_added", member: person("new"), by: "them" });
  }

  unread(chat, to = Infinity) {
    return chat.messages.filter((each) => each.seq > chat.read && each.seq <= to && each.sender_id !== ME).length;
  }

  mark(id, seq) {
    const chat = this.chats.get(id);
    chat.read = Math.max(chat.read, Math.min(seq, chat.messages.length));
    const frame = { type: "read_up_to", chat_id: id, seq: chat.read, unread_count: this.unread(chat), last_seq: chat.messages.length };
    this.log.push({ type: "read_up_to", chat_id: id });
    return this.live(frame);
  }

  entry(id) {
    const chat = this.chats.get(id);
    return {
      chat: { id, kind: "group", name: chat.name, description: null, owner: person("them"), member_count: chat.members, created_at: "0", updated_at: "0" },
      role: "member",
      last_message: chat.messages.at(-1) ?? null,
      unread_count: this.unread(chat),
      read_up_to: chat.read,
      seq: chat.messages.length,
      position: chat.log.length,
    };
  }

  live() {}

  /** The frames with which a client enters. */
  enter(since) {
    const cursor = `${this.epoch}:${this.log.length}`;
    const frames = [{ type: "auth_success", user_id: ME, session_id: "s", epoch: this.epoch, cursor, heartbeat_interval: 25, limits: { text: 4000, frame: 65536 } }];
    const [epoch, at] = since?.cursor.split(":") ?? [];
    if (since === undefined || epoch !== this.epoch) {
      if (since !== undefined) frames.push({ type: "reset", scope: "all", reason: "epoch" });
      frames.push(this.snapshot(0));
    } else {
      const missed = this.log.slice(Number(at));
      for (const id of new Set(missed.map((each) => each.chat_id))) {
        const own = missed.filter((each) => each.chat_id === id);
        const chat = this.chats.get(id);
        if (chat === undefined) frames.push({ type: "chat_removed", chat_id: id, reason: "removed" });
        else if (own.some((each) => each.type === "chat_added")) frames.push({ type: "chat_added", chat_id: id, chat: this.entry(id) });
        else {
          const events = own.filter((each) => each.position > (since.seen[id] ?? 0));
          if (events.length > this.gapBeyond) frames.push({ type: "gap", chat_id: id, after: events[0].after, before: chat.log.length + 1, state: this.entry(id) });
          else frames.push(...events);
          frames.push({ type: "read_up_to", chat_id: id, seq: chat.read, unread_count: this.unread(chat), last_seq: chat.messages.length, others_read_up_to: chat.readByOthers ?? 0 });
        }
      }
    }
    return [...frames, { type: "resumed", cursor }];
  }

  snapshot(from) {
    const ids = [...this.chats.keys()].sort();
    const next = from + this.page < ids.length ? ids[from + this.page - 1] : null;
    return { type: "snapshot", chats: ids.slice(from, from + this.page).map((id) => this.entry(id)), next };
  }

  answer({ type, id, ...asked }) {
    const chat = this.chats.get(asked.chat_id);
    if (type === "ping") return [{ type: "pong", id }];
    if (type === "more") {
      const from = [...this.chats.keys()].sort().findIndex((each) => each > asked.next);
      return [{ ...(from < 0 ? { type: "snapshot", chats: [], next: null } : this.snapshot(from)), id }];
    }
    if (chat === undefined) return [{ type: "error", id, code: "chat_not_found", message: "" }];
    if (type === "send_message") {
      const key = `${asked.chat_id} ${asked.nonce}`;
      const duplicate = this.stored.has(key);
      if (!duplicate) this.stored.set(key, this.say(asked.chat_id, ME, asked.text, asked.nonce));
      return [{ type: "answer", id, chat_id: asked.chat_id, message: this.stored.get(key), duplicate }];
    }
    if (type === "mark_read") {
      this.mark(asked.chat_id, asked.up_to);
      return [{ type: "answer", id, read_up_to: chat.read, unread_count: this.unread(chat) }];
    }
    if (type === "get_history") return [{ type: "answer", id, messages: chat.messages.slice(-asked.limit), total_count: chat.messages.length, has_before: false, has_after: false }];
    if (type === "catch_up") {
      const last = Math.min(chat.log.length, (asked.before ?? Infinity) - 1);
      const events = chat.log.slice(asked.after, Math.min(last, asked.after + 3));
      const position = events.at(-1)?.position ?? asked.after;
      return [{ type: "answer", id, chat_id: asked.chat_id, events, position, has_more: events.length > 0 && position < last }];
    }
    throw new Error(`not asked for: ${type}`);
  }
}

/** One core, and what lies between it and the server: time, breaks, lost and repeated frames. */
export class Device {
  now = 1_000_000;
  texts = {};
  changes = [];
  answers = [];
  connections = 0;
  up = false;
  /** What is on its way to the client. */
  down = [];

  constructor(server, random, options = {}) {
    this.server = server;
    this.random = random;
    this.options = { random, ...options };
    this.loss = 0;
    this.repeat = 0;
    this.core = new Core(this.options);
    server.live = (frame) => {
      if (this.up === "entered") this.deliver(frame);
      return frame;
    };
  }

  restart() {
    this.cut();
    this.core = new Core(this.options);
    this.core.restore(this.texts);
    this.run(this.core.start(this.now));
  }

  deliver(frame) {
    if (this.random() < this.loss) return;
    this.down.push(JSON.stringify(frame));
    if (this.random() < this.repeat && Number.isInteger(frame.after)) this.down.push(JSON.stringify(frame));
  }

  run(wishes) {
    for (const wish of wishes) {
      switch (wish.do) {
        case "connect":
          this.connections++;
          this.up = "opening";
          break;
        case "close":
          this.up = false;
          this.down = [];
          break;
        case "refresh":
          this.refreshes = (this.refreshes ?? 0) + 1;
          this.run(this.core.refreshed(`t${this.refreshes}`, 1800, this.now));
          break;
        case "save":
          for (const [name, text] of Object.entries(wish.changes)) text === null ? delete this.texts[name] : (this.texts[name] = text);
          break;
        case "send":
          if (this.up) this.heard(wish.frame);
          break;
        case "tell":
          this.changes.push(wish.change);
          break;
        default:
          this.answers.push(wish);
      }
    }
  }

  heard(frame) {
    if (frame.type === "auth") {
      for (const each of this.server.enter(frame.since)) this.deliver(each);
      this.up = "entered";
    } else if (this.up === "entered" && frame.type !== "typing") for (const each of this.server.answer(frame)) this.deliver(each);
  }

  cut(code = 1006, reason = "") {
    this.up = false;
    this.down = [];
    this.run(this.core.closed(code, reason, this.now));
  }

  /** Lets time pass until nothing is on its way, or until something is due. */
  step() {
    if (this.up === "opening") {
      this.up = "open";
      this.run(this.core.opened(this.now));
    } else if (this.down.length > 0) this.run(this.core.received(this.down.shift(), ++this.now));
    else {
      if (this.core.wakeAt !== null) this.now = Math.max(this.now, this.core.wakeAt);
      this.run(this.core.tick(this.now));
    }
  }

  settle(reached = () => this.core.state === "live" && this.down.length === 0, most = 5000) {
    for (let steps = 0; !reached(); steps++) {
      if (steps > most) throw new Error(`still ${this.core.state}`);
      this.step();
    }
  }

  /** The model as the server would tell it now. */
  state() {
    return Object.fromEntries([...this.core.model.chats].map(([id, { messages: _, others_read_up_to: _others, ...entry }]) => [id, entry]));
  }
}
