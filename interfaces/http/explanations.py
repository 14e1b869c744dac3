"""
A page for each error code, in Russian and English: what the `type` of a problem leads to.

They tell people who write clients what happened and what to do about it. Programs that prefer JSON get the texts as JSON.
"""

from collections.abc import Mapping
from html import escape
from typing import Final

from attrs import asdict, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.accept import preferred
from interfaces.http.envelope import MEDIA_TYPE as JSON
from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.http.pages import policy
from interfaces.http.routes import Endpoint


@frozen
class Explanation:
    english: str
    russian: str


EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "ACCOUNT_ALREADY_EXISTS": Explanation(
        "A confirmed account has this e-mail address. Sign in, or reset the password.",
        "С этим адресом уже есть подтверждённая учётная запись. Войдите или восстановите пароль.",
    ),
    "AUTH_ERROR": Explanation(
        "It is not clear who is asking, or they may not see this. The message says which: after `Token expired` "
        "refresh the tokens and repeat, after all others sign in again. With 403 signing in changes nothing: only "
        "members see a chat. With 409 the address was confirmed before: sign in.",
        "Неясно, кто спрашивает, или ему этого не видно. Что именно, говорит текст: после `Token expired` обновите токены и "
        "повторите, после остальных войдите заново. При 403 вход ничего не изменит: чат видят только его участники. "
        "При 409 адрес уже подтверждён: войдите.",
    ),
    "BAD_REQUEST": Explanation(
        "The request is not HTTP as RFC 9112 has it; the message says what is wrong. The connection was closed.",
        "Запрос не соответствует HTTP (RFC 9112); что не так, говорит текст. Соединение закрыто.",
    ),
    "BODY_TOO_LARGE": Explanation(
        "The body is longer than this server takes. Nothing was done; send less.",
        "Тело запроса длиннее, чем принимает сервер. Ничего не сделано; отправьте меньше.",
    ),
    "CHAT_NOT_FOUND": Explanation(
        "There is no such chat, or it is none of yours. Read the list of chats again.",
        "Такого чата нет, или вы не его участник. Перечитайте список чатов.",
    ),
    "DATA_ERROR": Explanation(
        "Storage does not answer, and certainly nothing was done. Repeat after as many seconds as `Retry-After` says.",
        "Хранилище не отвечает, и точно ничего не сделано. Повторите через столько секунд, сколько сказано в `Retry-After`.",
    ),
    "HEADERS_TOO_LARGE": Explanation(
        "The head of the request has more or longer lines than this server takes. Send fewer headers and cookies.",
        "В заголовке запроса больше строк или они длиннее, чем принимает сервер. Пришлите меньше заголовков и cookie.",
    ),
    "HTTP_VERSION_NOT_SUPPORTED": Explanation(
        "HTTP/1.1 and HTTP/1.0 are spoken here.",
        "Сервер понимает HTTP/1.1 и HTTP/1.0.",
    ),
    "KEY_REUSED": Explanation(
        "This `Idempotency-Key` was used for another request, which `operation` names and `subject` identifies. Take a new key for each new "
        "request, and the same one only to repeat it.",
        "Этот `Idempotency-Key` уже использован для другого запроса, его называют `operation` и `subject`. Берите для каждого нового "
        "запроса новый ключ, а прежний только для повтора.",
    ),
    "MEMBER_NOT_FOUND": Explanation(
        "Some of the profiles named do not exist; the message lists them. Nobody was added.",
        "Некоторых из названных профилей нет, они перечислены в тексте. Никто не добавлен.",
    ),
    "MESSAGE_NOT_FOUND": Explanation(
        "There is no such message in this chat.",
        "Такого сообщения в этом чате нет.",
    ),
    "METHOD_NOT_ALLOWED": Explanation(
        "The path is there, but not for this method. `Allow` names those that it has.",
        "Путь существует, но не для этого метода. В `Allow` названы те, которые есть.",
    ),
    "NONCE_REUSED": Explanation(
        "Another message of yours was sent under this key; `id` and `seq` name it. Take a new key for each message, and "
        "the same one only to repeat it.",
        "Под этим ключом вы уже отправили другое сообщение, его `id` и `seq` в ответе. Берите для каждого сообщения новый "
        "ключ, а прежний только для повтора.",
    ),
    "NOT_THE_OWNER": Explanation(
        "Only the owner of the chat may do this.",
        "Это может только владелец чата.",
    ),
    "NOT_ALLOWED": Explanation(
        "A member, but not one who may do this: owners and admins add and remove, only the owner gives roles.",
        "Участник есть, но права на это у него нет: добавляют и удаляют владелец и администраторы, роли даёт владелец.",
    ),
    "NOT_A_MEMBER": Explanation(
        "Only members may do this, and you are none, or no longer.",
        "Это могут только участники, а вы не участник или уже не участник.",
    ),
    "NOT_FOUND": Explanation(
        "Nothing is there, or nothing you may know of: chats of others are answered like chats that do not exist.",
        "Здесь ничего нет, или вам об этом знать нельзя: на чужие чаты ответ тот же, что и на несуществующие.",
    ),
    "NOT_TO_ONESELF": Explanation(
        "A direct chat is of two people: name somebody else.",
        "Личный чат бывает только с другим человеком: укажите не себя.",
    ),
    "NOT_IMPLEMENTED": Explanation(
        "The body has a transfer coding other than `chunked`. Send it as it is.",
        "Тело передано в кодировке, отличной от `chunked`. Пришлите его без неё.",
    ),
    "NO_SUCH_MEMBER": Explanation(
        "This profile is not in the chat, or no longer. Read the members again.",
        "Этого человека в чате нет или уже нет. Перечитайте список участников.",
    ),
    "ONLY_IN_GROUPS": Explanation(
        "The chat is of two people: it has no roles, and its members stay the two.",
        "Это чат двух человек: ролей в нём нет, и участники не меняются.",
    ),
    "OUTCOME_UNKNOWN": Explanation(
        "The connection to storage broke at the moment of deciding: it is done, or it is not. Repeat with the same "
        "`Idempotency-Key`, or look whether it is there.",
        "Связь с хранилищем прервалась в решающий момент: может быть, сделано, может быть, нет. Повторите с тем же "
        "`Idempotency-Key` или посмотрите, появилось ли.",
    ),
    "OVERLOADED": Explanation(
        "The server is overloaded, and nothing was stored. Repeat after as many seconds as `Retry-After` says.",
        "Сервер перегружен, ничего не сохранено. Повторите через столько секунд, сколько сказано в `Retry-After`.",
    ),
    "PASSWORD_WRONG": Explanation(
        "The password is not the one of this account. Nothing was done.",
        "Это не пароль этой учётной записи. Ничего не сделано.",
    ),
    "PROHIBITED_TO_DELETE": Explanation(
        "Only those who may change this chat may do this, or there is no such chat.",
        "Это могут только те, кому можно менять чат, или такого чата нет.",
    ),
    "REQUEST_TIMEOUT": Explanation(
        "The request did not arrive in the time there is for it, and nothing was done. Repeat it on a new connection.",
        "Запрос не пришёл целиком за отведённое время, ничего не сделано. Повторите его по новому соединению.",
    ),
    "SYSTEM_ERROR": Explanation(
        "A fault of the server. Tell its operator the `requestId`: the log has the rest under it.",
        "Ошибка сервера. Сообщите тому, кто его обслуживает, `requestId`: под ним в журнале всё остальное.",
    ),
    "TOO_FREQUENT": Explanation(
        "The same was said here a moment ago. Wait as many seconds as `Retry-After` says, or give messages keys of "
        "their own: then each is meant.",
        "То же самое только что сказано здесь. Подождите столько секунд, сколько сказано в `Retry-After`, или давайте "
        "сообщениям ключи: тогда каждое считается намеренным.",
    ),
    "TOO_MANY_REQUESTS": Explanation(
        "This was asked for too often, or failed too often. Repeat after as many seconds as `Retry-After` says; "
        "`RateLimit-Policy` says how often it may be done.",
        "Этого просили слишком часто, или оно слишком часто не удавалось. Повторите через столько секунд, сколько сказано "
        "в `Retry-After`; как часто можно, сказано в `RateLimit-Policy`.",
    ),
    "UNEXPECTED_VALIDATION_ERROR": Explanation(
        "The request is invalid. `fields` lists every error with its location and a stable code.",
        "Запрос неверен. В `fields` перечислены все ошибки: где каждая и её постоянный код.",
    ),
    "UNREADABLE_BODY": Explanation(
        "The body is not even text, or nested beyond reason. Send JSON in UTF-8.",
        "Тело запроса даже не текст или вложено сверх разумного. Пришлите JSON в UTF-8.",
    ),
    "UPGRADE_REQUIRED": Explanation(
        "A WebSocket is served under this path, and the request did not ask for one. Open it as a WebSocket. If that is what "
        "the client did, a proxy in between removed the headers: let it pass on `Upgrade: websocket` and "
        "`Connection: Upgrade`.",
        "По этому пути работает WebSocket, а запрос его не просил. Откройте путь как WebSocket. Если клиент так и сделал, "
        "заголовки убрал прокси: пусть он передаёт `Upgrade: websocket` и `Connection: Upgrade`.",
    ),
    "USERNAME_TAKEN": Explanation(
        "Somebody has this username, however it is capitalised. Choose another.",
        "Это имя пользователя занято, в том числе в другом регистре. Выберите другое.",
    ),
}

STYLE: Final = """
:root { color-scheme: light dark; font: 1.05rem/1.55 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; }
main { max-width: 38rem; padding: 2rem; }
h1 { font: 600 1.35rem/1.3 ui-monospace, monospace; margin: 0 0 1.5rem; overflow-wrap: anywhere; }
p { margin: 0 0 1.25rem; }
code { background: color-mix(in srgb, currentColor 10%, transparent); padding: .1em .3em; border-radius: .3em; }
"""

PAGE: Final = """<!doctype html>
<html lang="ru">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{code}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{code}</h1>
<p lang="ru">{russian}</p>
<p lang="en">{english}</p>
</main>
</body>
</html>
"""


@frozen
class Explanations:
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", f"{self.options.errors_path}{{code}}", self.explain)]

    async def explain(self, request: Request) -> Response:
        code = request.path_params["code"]
        if code not in EXPLANATIONS:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-cache", "Vary": "Accept"}
        if preferred(request.headers, ("text/html", JSON)) == JSON:
            return success({"code": code, **asdict(EXPLANATIONS[code])}, headers)
        headers["Content-Security-Policy"] = policy(styles=(STYLE,))
        return HTMLResponse(page(code, EXPLANATIONS[code]), headers=headers)


def page(code: str, explanation: Explanation) -> str:
    return PAGE.format(
        code=escape(code),
        style=STYLE,
        russian=_with_code(explanation.russian),
        english=_with_code(explanation.english),
    )


def _with_code(text: str) -> str:
    """What stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
