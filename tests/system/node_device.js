// Devices with the JavaScript client, which `node_device.py` tells what to do by lines of JSON.
//
//   node node_device.js ADDRESS-OF-THE-MODULE-WS

import { createInterface } from "node:readline";

import { MemoryStorage, Messenger, Tokens } from "../../interfaces/clients/javascript/index.js";
import { seeded } from "../interfaces/clients/javascript/server.js";

const { default: WebSocket } = await import(process.argv[2]);

const write = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

class Device {
  /** @type {any} the newest connection */
  socket = null;
  isEnding = false;
  /** Requests for what was missed that were not answered, over all connections. */
  unanswered = new Set();

  constructor(name) {
    this.name = name;
  }

  report(report, more) {
    write({ device: this.name, report, ...more });
  }

  async begin({ url, email, password, texts, seed }) {
    const tokens = new Tokens({ url, fingerprint: this.name });
    for (;;)
      try {
        await tokens.signIn(email, password);
        break;
      } catch (error) {
        if (error.status !== 0 && error.status < 500) throw error; // the chaos switch loses answers
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    this.storage = new MemoryStorage();
    this.storage.save(texts);
    this.messenger = new Messenger({
      url,
      tokens,
      storage: this.storage,
      WebSocket: watched(this),
      catchUp: true,
      remember: true,
      shortestPause: 20,
      longestPause: 500,
      patience: 5000,
      random: seeded(seed),
    });
    this.messenger.on("message", ({ chat_id, message }) => this.report("handled", { chat: chat_id, seq: message.seq }));
    await this.messenger.start();
  }

  end() {
    this.isEnding = true;
    this.messenger.stop();
  }

  send({ chat, text, nonce }) {
    this.messenger.send(chat, text, nonce);
  }

  cut() {
    this.socket?.terminate();
  }

  status() {
    const { state, outbox, model } = this.messenger;
    return {
      is_live: state === "live",
      unsent: outbox.all().filter(({ state }) => state !== "refused").length,
      positions: Object.fromEntries([...model.chats].map(([id, { position }]) => [id, position])),
      is_current: this.unanswered.size === 0,
    };
  }

  messages({ chat }) {
    const { messages } = this.messenger.model.chats.get(chat);
    return [...messages].sort(([one], [other]) => one - other).map(([, { id }]) => id);
  }

  stored() {
    return this.storage.load();
  }
}

/** A WebSocket that reports what goes in and out of it, before the client sees it. */
function watched(device) {
  return class extends WebSocket {
    isEntered = false;
    isOver = false;
    /** Requests that were written on this connection. */
    asked = new Set();

    constructor(address) {
      super(address);
      device.socket = this;
      this.on("error", () => {}); // followed by a close
      this.addEventListener("message", ({ data }) => this.isOver || this.heard(data));
      this.addEventListener("close", ({ code }) => this.over(code));
    }

    heard(text) {
      device.report("heard", { text });
      const frame = JSON.parse(text);
      if (frame.type === "answer") device.unanswered.delete(frame.id);
      // The client has asked again for what it still wants: the frames behind other holes come again by themselves.
      else if (frame.type === "resumed") setTimeout(() => this.isOver || (device.unanswered = new Set([...device.unanswered].filter((id) => this.asked.has(id)))));
    }

    send(text) {
      const frame = JSON.parse(text);
      if (frame.type === "auth") {
        this.isEntered = true;
        device.report("opened", { has_cursor: frame.since !== undefined, is_behind: device.unanswered.size > 0 });
      } else device.report("wrote", { text });
      if (frame.type === "catch_up") {
        device.unanswered.add(frame.id);
        this.asked.add(frame.id);
      }
      super.send(text);
    }

    close(code, reason) {
      this.over(code ?? 1005);
      super.close(code, reason);
    }

    over(code) {
      if (this.isEntered && !this.isOver) device.report("ended", { code, is_break: !device.isEnding });
      this.isOver = true;
    }
  };
}

/** @type {Map<string, Device>} */
const devices = new Map();

for await (const line of createInterface({ input: process.stdin })) {
  const { device: name, do: what, number, ...fields } = JSON.parse(line);
  if (what === "begin") devices.set(name, new Device(name));
  const answered = Promise.resolve(devices.get(name)[what](fields));
  // Others are not waited for meanwhile.
  if (number !== undefined) void answered.then((answer = null) => write({ number, answer }));
}
