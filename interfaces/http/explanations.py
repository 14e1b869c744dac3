"""
The texts that explain each error code, in Russian and English: what happened, and what to do about it.

`interfaces.http.error_pages` shows them.
"""

from collections.abc import Mapping
from typing import Final

from attrs import frozen


@frozen
class Explanation:
    english: str
    russian: str


EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "ACCESS_TOKENS_UNAVAILABLE": Explanation(
        "This messenger has no access tokens for programs, because its operator has not switched them on.",
        "В этом мессенджере нет токенов для программ: тот, кто его обслуживает, не включил их.",
    ),
    "ACCESS_TOKEN_NOT_FOUND": Explanation(
        "You have no such access token, or it has ended. Read the list of tokens again.",
        "У вас нет такого токена, или он больше не действует. Перечитайте список токенов.",
    ),
    "ACCOUNT_ALREADY_EXISTS": Explanation(
        "A confirmed account has this e-mail address. Sign in, or reset the password.",
        "С этим адресом уже есть подтверждённая учётная запись. Войдите или восстановите пароль.",
    ),
    "AUTH_ERROR": Explanation(
        "The request is not authenticated, or the caller may not see this. The message says which: after "
        "`Token expired` refresh the tokens and repeat, after any other 401 sign in again. With 403 signing in changes "
        "nothing: only members see a chat. With 409 the address was already confirmed: sign in.",
        "Неясно, кто спрашивает, или ему этого не видно. Что именно, говорит текст: после `Token expired` обновите токены и "
        "повторите, после остальных войдите заново. При 403 вход ничего не изменит: чат видят только его участники. "
        "При 409 адрес уже подтверждён: войдите.",
    ),
    "BAD_REQUEST": Explanation(
        "The request is not valid HTTP (RFC 9112); the message says what is wrong. The connection was closed.",
        "Запрос не соответствует HTTP (RFC 9112); что не так, говорит текст. Соединение закрыто.",
    ),
    "BODY_TOO_LARGE": Explanation(
        "The body is longer than this server accepts. Nothing was done; send less.",
        "Тело запроса длиннее, чем принимает сервер. Ничего не сделано; отправьте меньше.",
    ),
    "CHAT_NOT_FOUND": Explanation(
        "The chat does not exist, or you are not a member of it. Read the list of chats again.",
        "Такого чата нет, или вы не его участник. Перечитайте список чатов.",
    ),
    "CODE_WRONG": Explanation(
        "The code is wrong, too old or used already, or a code is needed and none was sent. Nothing was done. Wait for the "
        "next code of the application, or take a recovery code.",
        "Код неверный, устарел или уже использован, или он нужен, а его не прислали. Ничего не сделано. Дождитесь следующего "
        "кода в приложении или возьмите резервный код.",
    ),
    "DATA_ERROR": Explanation(
        "Storage is unavailable, and nothing was done. Repeat after the number of seconds in `Retry-After`.",
        "Хранилище не отвечает, и точно ничего не сделано. Повторите через столько секунд, сколько сказано в `Retry-After`.",
    ),
    "FACTORS_UNAVAILABLE": Explanation(
        "This messenger has no second factors, because its operator has not switched them on.",
        "В этом мессенджере нет второго фактора: тот, кто его обслуживает, не включил его.",
    ),
    "FACTOR_ALREADY_ON": Explanation(
        "The account already has a second factor. Turn it off before you set up another.",
        "У учётной записи уже есть второй фактор. Чтобы настроить другой, отключите прежний.",
    ),
    "FACTOR_NOT_ON": Explanation(
        "The account has no second factor, or its set-up was not begun. Begin with `POST /accounts/factors/totp/`.",
        "У учётной записи нет второго фактора, или его не начинали настраивать. Начните с `POST /accounts/factors/totp/`.",
    ),
    "FOREIGN_PAGE": Explanation(
        "A browser sent this request for a web page of another site, and nothing was done. If the page is yours, name its "
        "origin in `API_CORS_ALLOWED_HOSTS`, or the address of the messenger in `API_PUBLIC_URL`.",
        "Этот запрос браузер отправил со страницы другого сайта, ничего не сделано. Если страница ваша, назовите её в "
        "`API_CORS_ALLOWED_HOSTS` или адрес мессенджера в `API_PUBLIC_URL`.",
    ),
    "HEADERS_TOO_LARGE": Explanation(
        "The headers of the request are too many or too long for this server. Send fewer headers and cookies.",
        "В заголовке запроса больше строк или они длиннее, чем принимает сервер. Пришлите меньше заголовков и cookie.",
    ),
    "HTTP_VERSION_NOT_SUPPORTED": Explanation(
        "This server supports HTTP/1.1 and HTTP/1.0 only.",
        "Сервер понимает HTTP/1.1 и HTTP/1.0.",
    ),
    "IDENTITY_NOT_FOUND": Explanation(
        "Your account is not linked with this identity. Read the list of identities again.",
        "Ваша учётная запись с этим не связана. Перечитайте список.",
    ),
    "IDENTITY_TAKEN": Explanation(
        "An account is linked with this identity already, perhaps yours. Nothing was done.",
        "С этим уже связана учётная запись, возможно, ваша. Ничего не сделано.",
    ),
    "IDENTITY_UNKNOWN": Explanation(
        "The provider knows you, but no account is linked with that. Sign in with your password, or sign up, and then link it in "
        "your account.",
        "Сервис вас знает, но учётная запись с ним не связана. Войдите по паролю или зарегистрируйтесь, а потом свяжите их.",
    ),
    "KEY_REUSED": Explanation(
        "This `Idempotency-Key` was used for another request, which `operation` and `subject` identify. Take a new key "
        "for each new request, and the same one only to repeat it.",
        "Этот `Idempotency-Key` уже использован для другого запроса, его называют `operation` и `subject`. Берите для каждого нового "
        "запроса новый ключ, а прежний только для повтора.",
    ),
    "LAST_WAY_IN": Explanation(
        "Without it you could not sign in any more. Nothing was done; set a password or another way to sign in first.",
        "Без этого вы не смогли бы войти. Ничего не сделано; сначала задайте пароль или другой способ входа.",
    ),
    "MEMBER_NOT_FOUND": Explanation(
        "Some of these profiles do not exist; the message lists them. No one was added.",
        "Некоторых из названных профилей нет, они перечислены в тексте. Никто не добавлен.",
    ),
    "MESSAGE_NOT_FOUND": Explanation(
        "This chat has no such message.",
        "Такого сообщения в этом чате нет.",
    ),
    "METHOD_NOT_ALLOWED": Explanation(
        "The path exists, but does not support this method. `Allow` lists the methods that it supports.",
        "Путь существует, но не для этого метода. В `Allow` названы те, которые есть.",
    ),
    "MISDIRECTED_REQUEST": Explanation(
        "The request names a host that this server does not answer for, and nothing was done. If the name is right, its "
        "operator adds it to `API_ALLOWED_HOSTS`.",
        "В запросе назван узел, за который этот сервер не отвечает, ничего не сделано. Если имя верное, его добавляет в "
        "`API_ALLOWED_HOSTS` тот, кто обслуживает сервер.",
    ),
    "NONCE_REUSED": Explanation(
        "You sent another message under this key; `id` and `seq` identify it. Take a new key for each message, and "
        "the same one only to repeat it.",
        "Под этим ключом вы уже отправили другое сообщение, его `id` и `seq` в ответе. Берите для каждого сообщения новый "
        "ключ, а прежний только для повтора.",
    ),
    "NOT_THE_OWNER": Explanation(
        "Only the owner of the chat may do this.",
        "Это может только владелец чата.",
    ),
    "NOT_ALLOWED": Explanation(
        "Your role in this chat does not allow this: owners and admins add and remove members, only the owner changes roles.",
        "Участник есть, но права на это у него нет: добавляют и удаляют владелец и администраторы, роли даёт владелец.",
    ),
    "NOT_A_MEMBER": Explanation(
        "Only members may do this, and you are not, or no longer, a member.",
        "Это могут только участники, а вы не участник или уже не участник.",
    ),
    "NOT_ACQUAINTED": Explanation(
        "The people in `profiles` may not be put into groups by the caller: they do not know the caller. Nobody was added. Leave them out: they must share a group with the caller, or have opened or answered a direct chat with the caller.",
        "Тех, кого называет `profiles`, вызвавший не может добавить в группу: они с ним не знакомы. Никто не добавлен. Уберите их из списка: нужна общая группа или личный чат, который они сами открыли или в котором ответили.",
    ),
    "NOT_FOUND": Explanation(
        "This does not exist, or you have no access to it: chats of others are answered like chats that do not exist.",
        "Этого нет, или у вас нет к этому доступа: на чужие чаты ответ тот же, что и на несуществующие.",
    ),
    "NOT_TO_ONESELF": Explanation(
        "A direct chat has two members: name another person.",
        "Личный чат бывает только с другим человеком: укажите не себя.",
    ),
    "NOT_IMPLEMENTED": Explanation(
        "The body has a transfer coding other than `chunked`. Send it without one.",
        "Тело передано в кодировке, отличной от `chunked`. Пришлите его без неё.",
    ),
    "NO_SUCH_MEMBER": Explanation(
        "This person is not, or no longer, a member of the chat. Read the members again.",
        "Этого человека в чате нет или уже нет. Перечитайте список участников.",
    ),
    "ONLY_IN_GROUPS": Explanation(
        "This is a direct chat: it has no roles, and its two members do not change.",
        "Это чат двух человек: ролей в нём нет, и участники не меняются.",
    ),
    "OUTCOME_UNKNOWN": Explanation(
        "The connection to storage broke during the commit: the request was carried out, or it was not. Repeat it with "
        "the same `Idempotency-Key`, or check whether it took effect.",
        "Связь с хранилищем прервалась в решающий момент: может быть, сделано, может быть, нет. Повторите с тем же "
        "`Idempotency-Key` или посмотрите, появилось ли.",
    ),
    "OVERLOADED": Explanation(
        "The server is overloaded, and nothing was stored. Repeat after the number of seconds in `Retry-After`.",
        "Сервер перегружен, ничего не сохранено. Повторите через столько секунд, сколько сказано в `Retry-After`.",
    ),
    "PASSWORD_WRONG": Explanation(
        "This is not the password of the account, or the request needs it and has none. Nothing was done.",
        "Это не пароль этой учётной записи, или он нужен, а его нет. Ничего не сделано.",
    ),
    "PROHIBITED_TO_DELETE": Explanation(
        "Your role does not allow you to change or delete this chat, or the chat does not exist.",
        "Это могут только те, кому можно менять чат, или такого чата нет.",
    ),
    "REQUEST_TIMEOUT": Explanation(
        "The request did not arrive in time, and nothing was done. Repeat it on a new connection.",
        "Запрос не пришёл целиком за отведённое время, ничего не сделано. Повторите его по новому соединению.",
    ),
    "SCOPE_MISSING": Explanation(
        "The access token of this program does not permit this. Make a token with the scope that is missing. Accounts, "
        "sessions, passwords and profiles can be changed on a device only, signed in with the password.",
        "Токен этой программы такого не разрешает. Создайте токен с недостающим правом. Учётные записи, сеансы, пароли и "
        "профили меняют только с устройства, на котором вошли с паролем.",
    ),
    "PASSKEYS_UNAVAILABLE": Explanation(
        "This messenger has no passkeys, because its operator has not switched them on.",
        "В этом мессенджере нет ключей доступа: тот, кто его обслуживает, не включил их.",
    ),
    "PASSKEY_COPIED": Explanation(
        "The passkey was refused, because a copy of it has been used. If you made no copy, sign in another way and remove the "
        "passkey.",
        "Ключ доступа не принят: использовалась его копия. Если вы её не делали, войдите иначе и удалите этот ключ.",
    ),
    "PASSKEY_NOT_FOUND": Explanation(
        "Your account has no such passkey. Read the list of passkeys again.",
        "У вашей учётной записи нет такого ключа доступа. Перечитайте список.",
    ),
    "PASSKEY_REFUSED": Explanation(
        "The device's answer does not belong to this question, or the device did not verify you. Nothing was done; begin again.",
        "Ответ устройства не к этому вопросу, или устройство не проверило вас. Ничего не сделано; начните заново.",
    ),
    "PASSKEY_TAKEN": Explanation(
        "Your account has this passkey already. Nothing was done.",
        "У вашей учётной записи уже есть этот ключ доступа. Ничего не сделано.",
    ),
    "PROOF_UNFIT": Explanation(
        "The proof by a passkey is not of this session, too old or used already. Nothing was done; make another one with "
        "`POST /accounts/proof/`.",
        "Подтверждение ключом доступа не из этого сеанса, устарело или уже использовано. Ничего не сделано; получите другое: "
        "`POST /accounts/proof/`.",
    ),
    "PROVIDER_NOT_FOUND": Explanation(
        "This messenger has no such provider for signing in. `GET /accounts/ways/` lists those that it has.",
        "В этом мессенджере нет такого сервиса для входа. `GET /accounts/ways/` перечисляет те, что есть.",
    ),
    "PROVIDER_REFUSED": Explanation(
        "The provider did not sign you in, or its answer was not about this sign-in. Nothing was done; begin again.",
        "Сервис не подтвердил вход, или его ответ был не об этом входе. Ничего не сделано; начните заново.",
    ),
    "PROVIDER_UNAVAILABLE": Explanation(
        "The provider for signing in does not answer, and nothing was done. Begin again after the number of seconds in "
        "`Retry-After`, or sign in another way.",
        "Сервис для входа не отвечает, ничего не сделано. Начните заново через столько секунд, сколько сказано в "
        "`Retry-After`, или войдите иначе.",
    ),
    "SECOND_FACTOR_NEEDED": Explanation(
        "The account has a second factor. Send `pendingToken` and a code of the application, or a recovery code, to "
        "`POST /accounts/sign-in/second/` within five minutes.",
        "У учётной записи есть второй фактор. Отправьте `pendingToken` и код из приложения или резервный код в "
        "`POST /accounts/sign-in/second/` не позже чем через пять минут.",
    ),
    "SYSTEM_ERROR": Explanation(
        "The server failed. Give its operator the `requestId`, under which the log has the details.",
        "Ошибка сервера. Сообщите тому, кто его обслуживает, `requestId`: под ним в журнале всё остальное.",
    ),
    "TOO_FREQUENT": Explanation(
        "You sent the same text to this chat a moment ago. Wait for the number of seconds in `Retry-After`, or send each "
        "message under a key of its own: such messages are never taken for repeats.",
        "То же самое только что сказано здесь. Подождите столько секунд, сколько сказано в `Retry-After`, или давайте "
        "сообщениям ключи: тогда каждое считается намеренным.",
    ),
    "TOO_MANY_ACCESS_TOKENS": Explanation(
        "The account has as many access tokens as it may have (`AUTH_ACCESS_TOKENS`). End one that is not needed any more.",
        "У учётной записи столько токенов, сколько можно (`AUTH_ACCESS_TOKENS`). Отзовите тот, который больше не нужен.",
    ),
    "TOO_MANY_CHATS": Explanation(
        "The people in `profiles`, perhaps the caller among them, are in as many chats as one may be. Nothing was done. Leave chats, or leave those people out.",
        "Те, кого называет `profiles`, возможно и сам вызвавший, состоят в наибольшем числе чатов. Ничего не сделано. Покиньте часть чатов или не называйте этих людей.",
    ),
    "TOO_MANY_MEMBERS": Explanation(
        "The group would have more members than a group may have. Nobody was added.",
        "В группе стало бы больше участников, чем допустимо. Никто не добавлен.",
    ),
    "TOO_MANY_PASSKEYS": Explanation(
        "Your account has as many passkeys as it may have. Remove one first.",
        "У вашей учётной записи столько ключей доступа, сколько можно. Сначала удалите один.",
    ),
    "TOO_MANY_REQUESTS": Explanation(
        "There were too many such requests, or too many failed. Repeat after the number of seconds in `Retry-After`; "
        "`RateLimit-Policy` says how many are allowed.",
        "Этого просили слишком часто, или оно слишком часто не удавалось. Повторите через столько секунд, сколько сказано "
        "в `Retry-After`; как часто можно, сказано в `RateLimit-Policy`.",
    ),
    "TOO_MANY_SOCKETS": Explanation(
        "This session, account or network has as many sockets and event streams as it may have. Close some, or come back after `Retry-After`.",
        "У этого сеанса, учётной записи или сети открыто наибольшее число сокетов и потоков. Закройте часть или вернитесь через `Retry-After`.",
    ),
    "UNEXPECTED_VALIDATION_ERROR": Explanation(
        "The request is invalid. `fields` lists every error with its location and a stable code.",
        "Запрос неверен. В `fields` перечислены все ошибки: где каждая и её постоянный код.",
    ),
    "UNREADABLE_BODY": Explanation(
        "The body is not text, or is JSON that parsers may read differently: names that repeat in an object, numbers of "
        "more than 64 bits, lone surrogates, values nested too deeply. Send JSON in UTF-8 without these.",
        "Тело запроса не текст или такой JSON, который можно прочесть по-разному: повторяются имена в объекте, числа "
        "длиннее 64 бит, половины суррогатных пар, слишком глубокая вложенность. Пришлите JSON в UTF-8 без этого.",
    ),
    "UPGRADE_REQUIRED": Explanation(
        "This path serves a WebSocket, and the request did not ask for an upgrade. Open it as a WebSocket. If the client "
        "did so, a proxy in between removed the headers: configure it to pass on `Upgrade: websocket` and "
        "`Connection: Upgrade`.",
        "По этому пути работает WebSocket, а запрос его не просил. Откройте путь как WebSocket. Если клиент так и сделал, "
        "заголовки убрал прокси: пусть он передаёт `Upgrade: websocket` и `Connection: Upgrade`.",
    ),
    "USERNAME_TAKEN": Explanation(
        "Another account has this username or one that looks like it. Choose another.",
        "Это или похожее на него имя пользователя занято. Выберите другое.",
    ),
}
