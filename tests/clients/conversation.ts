// A small client over the types that openapi-typescript generates: it signs in, lists, sends and reads.

import createClient from "openapi-fetch";

import type { components, paths } from "./messenger.js";

type Message = components["schemas"]["Message"];

declare const process: { argv: string[] };

function found<T>(answer: { data?: { data: T }; error?: unknown }): T {
  if (answer.data === undefined) {
    throw new Error(JSON.stringify(answer.error));
  }
  return answer.data.data;
}

async function converse(baseUrl: string, email: string, password: string): Promise<void> {
  const client = createClient<paths>({ baseUrl });
  const tokens = found(
    await client.POST("/accounts/sign-in/", { body: { email, password, fingerprint: "typescript" } }),
  );
  const lifetime: number = tokens.expiresIn;
  client.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${tokens.accessToken}`);
      return request;
    },
  });

  const [chat] = found(await client.GET("/chats/", { params: { query: { limit: 5 } } }));
  if (chat === undefined) {
    throw new Error("there is no chat");
  }
  const path = { chat_id: chat.id };
  const sent: Message = found(
    await client.POST("/chats/{chat_id}/messages/", {
      params: { path, header: { "Idempotency-Key": "from-typescript" } },
      body: { text: "Привет from TypeScript" },
    }),
  );
  const reading = found(
    await client.PUT("/chats/{chat_id}/read/", { params: { path }, body: { upTo: sent.seq } }),
  );
  const history = found(
    await client.GET("/chats/{chat_id}/history/", { params: { path, query: { limit: 1 } } }),
  );
  const newest: Message | undefined = history.entities[0];
  console.log(
    JSON.stringify({
      lasts: lifetime > 0,
      chat: chat.name,
      role: chat.role,
      read: reading.readUpTo === sent.seq,
      newest: newest?.text,
      nonce: newest?.nonce,
    }),
  );
}

const [, , baseUrl, email, password] = process.argv;
if (baseUrl === undefined || email === undefined || password === undefined) {
  throw new Error("usage: conversation.js URL EMAIL PASSWORD");
}
await converse(baseUrl, email, password);
