"""
What one writes first, to compare with: Starlette on uvicorn as they come, an INSERT and a COMMIT for each message, and its
text awaited socket by socket. It believes every claim of identity, and everybody who is connected is a member.

    python -m tests.benchmarks.naive PORT CONNINFO
"""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import psycopg
import uvicorn
from attrs import define, field
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

CONNECTIONS = 10

TABLE = """
CREATE TABLE IF NOT EXISTS naive (
    id bigserial PRIMARY KEY, message_id uuid NOT NULL, chat_id uuid NOT NULL, sender_id uuid NOT NULL,
    nonce text NOT NULL, text text NOT NULL, sent_at timestamptz NOT NULL DEFAULT now()
)
"""

INSERT = "INSERT INTO naive (message_id, chat_id, sender_id, nonce, text) VALUES (%s, %s, %s, %s, %s) RETURNING id, sent_at"


@define(eq=False)
class Naive:
    conninfo: str
    free: asyncio.Queue[psycopg.AsyncConnection] = field(factory=asyncio.Queue)
    chats: defaultdict[str, set[WebSocket]] = field(factory=lambda: defaultdict(set))

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _each in range(CONNECTIONS):
                connection = await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)
                await stack.enter_async_context(connection)
                self.free.put_nowait(connection)
                await connection.execute(TABLE)
            yield

    async def serve(self, websocket: WebSocket) -> None:
        chat_id, sender_id = websocket.path_params["chat_id"], str(uuid4())
        await websocket.accept()
        await websocket.receive_json()
        await websocket.send_json({"type": "chat_history", "messages": []})
        here = self.chats[chat_id]
        here.add(websocket)
        try:
            async for said in websocket.iter_text():
                text = await self.store(chat_id, sender_id, json.loads(said))
                for each in list(here):
                    try:
                        await each.send_text(text)
                    except WebSocketDisconnect:
                        here.discard(each)
        finally:
            here.discard(websocket)

    async def store(self, chat_id: str, sender_id: str, said: dict[str, str]) -> str:
        """Returns the frame to tell: the fields of the messenger's own, so that both tell as much."""
        message_id = str(uuid4())
        connection = await self.free.get()
        try:
            cursor = await connection.execute(
                INSERT, [message_id, chat_id, sender_id, said["nonce"], said["text"]]
            )
            row = await cursor.fetchone()
        finally:
            self.free.put_nowait(connection)
        assert row is not None
        seq, sent_at = row[0], row[1].isoformat()
        sender = {
            "first_name": "Anna",
            "last_name": "Ivanova",
            "middle_name": None,
            "username": "anna",
            "id": sender_id,
        }
        message = {
            "id": message_id,
            "created_at": sent_at,
            "updated_at": sent_at,
            "text": said["text"],
            "sender": sender,
            "read_at": None,
            "sent_at": sent_at,
            "chat_id": chat_id,
            "sender_id": sender_id,
            "seq": seq,
            "position": seq,
            "nonce": said["nonce"],
        }
        fields = {
            "type": "new_message",
            "message": message,
            "chat_id": chat_id,
            "position": seq,
            "after": seq - 1,
        }
        return json.dumps(fields, separators=(",", ":"))


def main() -> None:
    naive = Naive(conninfo=sys.argv[2])
    app = Starlette(routes=[WebSocketRoute("/chats/{chat_id}/ws", naive.serve)], lifespan=naive.lifespan)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
