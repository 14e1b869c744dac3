/**
 * Where a client keeps what must survive a reload: its outbox, and its place in the stream of frames if it wants to resume.
 *
 * A storage holds texts by name. `load` returns all of them; `save` replaces some, where null deletes, all or none of them.
 * Both may return promises.
 *
 * @module
 */

/** @typedef {import("./index.d.ts").Storage} Storage */

/** Forgets everything with the page. @implements {Storage} */
export class MemoryStorage {
  /** @type {Map<string, string>} */
  #texts = new Map();

  load() {
    return Object.fromEntries(this.#texts);
  }

  /** @param {Record<string, string | null>} changes */
  save(changes) {
    for (const [name, text] of Object.entries(changes)) {
      if (text === null) this.#texts.delete(name);
      else this.#texts.set(name, text);
    }
  }
}

/** `localStorage` or `sessionStorage`, below a prefix. Tabs may share one. @implements {Storage} */
export class WebStorage {
  #area;
  #prefix;

  /** @param {globalThis.Storage} area @param {string} prefix */
  constructor(area, prefix = "messenger.") {
    this.#area = area;
    this.#prefix = prefix;
  }

  load() {
    /** @type {Record<string, string>} */
    const found = {};
    for (let index = 0; index < this.#area.length; index++) {
      const key = this.#area.key(index);
      if (key?.startsWith(this.#prefix)) found[key.slice(this.#prefix.length)] = this.#area.getItem(key) ?? "";
    }
    return found;
  }

  /** @param {Record<string, string | null>} changes */
  save(changes) {
    const before = Object.keys(changes).map((name) => /** @type {const} */ ([name, this.#area.getItem(this.#prefix + name)]));
    try {
      for (const [name, text] of Object.entries(changes)) this.#put(name, text);
    } catch (error) {
      for (const [name, text] of before) this.#put(name, text); // it is full: none of them
      throw error;
    }
  }

  /** @param {string} name @param {string | null} text */
  #put(name, text) {
    if (text === null) this.#area.removeItem(this.#prefix + name);
    else this.#area.setItem(this.#prefix + name, text);
  }
}

/** A database of the browser. Unlike `localStorage` it has room for thousands of chats. @implements {Storage} */
export class IndexedDbStorage {
  /** @type {Promise<IDBDatabase>} */
  #database;

  /** @param {string} name of the database @param {IDBFactory} [factory] */
  constructor(name = "messenger", factory = indexedDB) {
    const request = factory.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("texts");
    this.#database = new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    this.#database.catch(() => {}); // each caller is told
  }

  async load() {
    const [store, done] = await this.#store("readonly");
    const names = store.getAllKeys();
    const texts = store.getAll();
    await done;
    return Object.fromEntries(names.result.map((name, index) => [String(name), /** @type {string} */ (texts.result[index])]));
  }

  /** @param {Record<string, string | null>} changes */
  async save(changes) {
    const [store, done] = await this.#store("readwrite");
    for (const [name, text] of Object.entries(changes)) {
      if (text === null) store.delete(name);
      else store.put(text, name);
    }
    await done;
  }

  /** @param {IDBTransactionMode} mode @returns {Promise<[IDBObjectStore, Promise<void>]>} */
  async #store(mode) {
    const transaction = (await this.#database).transaction("texts", mode);
    const done = /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    }));
    return [transaction.objectStore("texts"), done];
  }
}
