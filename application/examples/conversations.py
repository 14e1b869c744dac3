"""The conversations of the example people, as data that is the same on every installation."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from application.examples.people import ANNA, CHLOE, MISHA, THEO, VERA, Person, named
from domain.ids import ChatId, MessageId

Line = tuple[Person, int, str]
"""The author, the minutes since the line before, and the text."""


@frozen(kw_only=True)
class Said:
    author: Person
    id: MessageId
    nonce: str
    at: datetime
    text: str


@frozen(kw_only=True)
class Conversation:
    key: str
    """Must never change, because the ids and nonces of the conversation are derived from it."""
    name: str
    description: str | None = None
    owner: Person
    others: tuple[Person, ...]
    opened_at: datetime
    lines: tuple[Line, ...]
    read: Mapping[Person, int]
    """How many lines each person has read. People who are not listed have read nothing."""

    @property
    def chat_id(self) -> ChatId:
        return ChatId(named(f"chat {self.key}"))

    def messages(self) -> Iterator[Said]:
        at = self.opened_at
        for number, (author, minutes, text) in enumerate(self.lines, start=1):
            at += timedelta(minutes=minutes)
            yield Said(
                author=author,
                id=MessageId(named(f"message {self.key} {number}")),
                nonce=f"example {self.key} {number}",
                at=at,
                text=text,
            )


RELEASE: Final = Conversation(
    key="release",
    name="Релиз · Release",
    description="Everything about Friday's release. Пишем на любом языке.",
    owner=VERA,
    others=(THEO, ANNA, MISHA, CHLOE),
    opened_at=datetime(2026, 3, 18, 6, 2, tzinfo=UTC),
    lines=(
        (VERA, 1, "Доброе утро! В пятницу выпускаем 2.4, здесь собираем всё, что осталось."),
        (VERA, 1, "Theo, Chloe: English is perfectly fine here, everybody reads both."),
        (THEO, 6, "Morning! The importer is done, one review missing. Anna, would you have half an hour?"),
        (ANNA, 4, "Да, после одиннадцати посмотрю. / Sure, after eleven."),
        (MISHA, 9, "У меня осталась миграция. Проверил на копии: сорок секунд, блокировок нет."),
        (VERA, 2, "Отлично. А откат проверяли?"),
        (MISHA, 1, "Вверх, вниз и снова вверх. Всё на месте 👍"),
        (CHLOE, 25, "Release notes: first draft is in the shared folder. Corrections welcome, jokes too."),
        (ANNA, 40, "Theo, the review is done. Two small remarks, otherwise it is a pleasure to read."),
        (THEO, 3, "Thank you! Fixed the first one. About the second: would a comment do?"),
        (ANNA, 2, "A comment is enough."),
        (CHLOE, 180, "Does «многоразовая ссылка» mean a link that works several times?"),
        (MISHA, 1, "Да, именно так."),
        (CHLOE, 2, "Then the notes are complete. Спасибо!"),
        (VERA, 1251, "Напоминаю: завтра в 16:00 смотрим вместе, в 17:00 выпускаем."),
        (THEO, 12, "I will keep an eye on the graphs until six."),
        (MISHA, 1, "Я на связи весь вечер, если что."),
        (VERA, 1821, "Вышло! 17:04, ошибок нет. Всем большое спасибо 🎉"),
        (CHLOE, 1, "Congratulations, everybody! 🎉"),
        (ANNA, 2, "Ура! С меня пирог в понедельник."),
    ),
    read={VERA: 20, THEO: 20, ANNA: 20, MISHA: 17, CHLOE: 19},
)

LUNCH: Final = Conversation(
    key="lunch",
    name="Обед",
    description="Куда идём и кто с нами",
    owner=ANNA,
    others=(VERA, MISHA),
    opened_at=datetime(2026, 3, 17, 9, 28, tzinfo=UTC),
    lines=(
        (ANNA, 2, "Кто сегодня обедает? Открыли грузинское кафе за углом."),
        (MISHA, 1, "Я! Вчера проходил мимо, пахло очень убедительно."),
        (VERA, 5, "Тоже иду, но не раньше часа: созвон."),
        (ANNA, 1, "Тогда в 13:05 у лифта?"),
        (MISHA, 1, "Годится."),
        (VERA, 1, "👌"),
        (ANNA, 28, "Столик у окна, я уже здесь. Взяла на всех лимонад с тархуном."),
        (MISHA, 2, "Бегу!"),
        (VERA, 70, "Хачапури выше всяких похвал. Спасибо, Аня, что нашла."),
        (MISHA, 1, "Завтра повторим?"),
        (ANNA, 2, "Завтра я с контейнером: гречка и героизм."),
        (MISHA, 1, "Героизм угостишь?"),
        (ANNA, 1, "Половиной 😄"),
        (VERA, 1360, "Сегодня я угощаю кофе: день без единого созвона."),
        (MISHA, 3, "Такое надо отмечать в календаре."),
        (ANNA, 4, "Иду! Мне, пожалуйста, без сахара."),
    ),
    read={VERA: 16, ANNA: 16, MISHA: 15},
)

BOOKS: Final = Conversation(
    key="books",
    name="Book club",
    description="One book a month, no homework",
    owner=CHLOE,
    others=(THEO, ANNA),
    opened_at=datetime(2026, 3, 18, 17, 45, tzinfo=UTC),
    lines=(
        (CHLOE, 1, "Welcome! The only rule: it is fine not to have finished the book."),
        (THEO, 3, "My kind of rule."),
        (ANNA, 2, "Hello! What are we reading?"),
        (CHLOE, 1, "I would begin with something short. The Wind in the Willows?"),
        (THEO, 4, "I have not read it since I was eight. Yes, please."),
        (ANNA, 1, "And I have never read it in English, so twice yes."),
        (CHLOE, 2, "Then let us meet on the first Thursday of April, at my place. There will be soup."),
        (THEO, 1, "I will bring bread."),
        (ANNA, 1, "And I a cake. It seems to be my month of cakes."),
        (THEO, 4330, "Chapter five. I did not expect to be so moved by a mole smelling his old home."),
        (ANNA, 14, "«Dulce Domum»! I read it on the train and missed my stop."),
        (CHLOE, 6, "That is the highest praise a book can get."),
        (ANNA, 2, "How do you say «проехать свою остановку» when you are happy about it?"),
        (CHLOE, 3, "I do not think we have a word. We should."),
        (THEO, 1, "To overread."),
        (ANNA, 1, "Taken 📖"),
        (CHLOE, 15773, "Tomorrow at seven. Tell me if anybody does not eat leeks."),
    ),
    read={CHLOE: 17, THEO: 15, ANNA: 16},
)

HIKE: Final = Conversation(
    key="hike",
    name="Поход в субботу",
    owner=MISHA,
    others=(ANNA, CHLOE, VERA, THEO),
    opened_at=datetime(2026, 3, 23, 11, 10, tzinfo=UTC),
    lines=(
        (MISHA, 1, "В субботу обещают солнце. Пройдём вдоль реки до старой мельницы? Километров двенадцать."),
        (VERA, 7, "Я за. Во сколько выезжаем?"),
        (MISHA, 1, "Электричка в 9:12, в 9:50 уже на месте."),
        (CHLOE, 11, "May I come too? My Russian is good enough for a forest, I hope."),
        (MISHA, 1, "Of course! В лесу главное слово «смотри»."),
        (ANNA, 3, "Беру термос. Два термоса."),
        (CHLOE, 2, "What do I need? Boots?"),
        (ANNA, 1, "Yes, it will be muddy near the water. And something warm to sit on."),
        (VERA, 4, "У меня есть лишний коврик, захвачу для Хлои."),
        (CHLOE, 1, "Спасибо большое!"),
        (MISHA, 5989, "Прогноз тот же: +9 и ни облачка. Встречаемся в 9:00 под часами."),
        (ANNA, 2, "Я напекла пирожков: с капустой и с яблоком."),
        (VERA, 1, "Аня, ты опасный человек."),
        (CHLOE, 5, "I can already say «пирожки с капустой»."),
        (MISHA, 1402, "Вот это день! Дошли, не промокли, видели цаплю."),
        (CHLOE, 8, "Смотри! was indeed the main word. Thank you, everybody."),
        (VERA, 25, "Фотографии выложу завтра. Цапля получилась, Миша в кадре с пирожком тоже."),
    ),
    read={MISHA: 16, CHLOE: 17, ANNA: 12, VERA: 17},
)

DUTY: Final = Conversation(
    key="duty",
    name="Дежурство",
    description="Who is on call, and what was seen",
    owner=THEO,
    others=(VERA, MISHA),
    opened_at=datetime(2026, 3, 30, 6, 58, tzinfo=UTC),
    lines=(
        (THEO, 1, "On call this week: me until Wednesday, then Misha."),
        (MISHA, 12, "Принято, в среду в 9:00 забираю."),
        (THEO, 160, "One alert at 12:40: a long queue for three minutes, then it was gone. Nobody noticed."),
        (VERA, 8, "Это был ночной отчёт, который запустили днём. Спросила, больше не будут."),
        (THEO, 1, "Good to know. I will note it in the handbook."),
        (MISHA, 2, "Может, поднять порог до пяти минут?"),
        (THEO, 3, "Let us wait for a second one first. One is an anecdote."),
        (VERA, 1, "Согласна."),
        (THEO, 2634, "Handing over: quiet since Monday. The handbook has a new page on the queue."),
        (MISHA, 4, "Забрал. Спасибо за страницу, понятно написано."),
        (MISHA, 610, "Вечерняя проверка: копия восстановлена за 6 минут, всё сходится."),
        (VERA, 9, "Спокойной смены!"),
        (MISHA, 2797, "Неделя закончилась без единого звонка. Рекомендую."),
        (THEO, 15, "Then I take the next one too, before the luck runs out."),
    ),
    read={THEO: 14, VERA: 12, MISHA: 13},
)

EXCHANGE: Final = Conversation(
    key="exchange",
    name="Слово за слово",
    description="Russian for Theo, English for Anna",
    owner=THEO,
    others=(ANNA,),
    opened_at=datetime(2026, 4, 6, 18, 20, tzinfo=UTC),
    lines=(
        (THEO, 1, "Добрый вечер! Я учу слово каждый день. Сегодня: «сутки»."),
        (ANNA, 3, "Great choice. English has no such word, you have to say «24 hours»."),
        (THEO, 2, "We have «dygn» in Swedish! Поэтому я понял сразу."),
        (ANNA, 1, "Then you are ahead of the English. And mine for today: «serendipity»."),
        (THEO, 2, "Счастливая случайность. Like a café around the corner."),
        (ANNA, 1, "Точно! Запятые, кстати, у вас уже лучше моих."),
        (THEO, 1, "На «ты»?"),
        (ANNA, 1, "На «ты» 🙂"),
        (THEO, 1440, "Сегодня: «почемучка». I know three of them, one is me."),
        (ANNA, 6, "A why-er! I like it. Mine: «to dilly-dally»."),
        (THEO, 2, "Тянуть кота за хвост?"),
        (ANNA, 1, "Wow. Yes. Where did you get that?"),
        (THEO, 1, "Миша научил. Кота не пострадало."),
        (ANNA, 2, "«Кот не пострадал», but the joke works either way."),
        (THEO, 1, "Спасибо! Записал."),
        (ANNA, 1437, "Моё слово на сегодня: «snug». Пледы, чай, дождь за окном."),
    ),
    read={THEO: 15, ANNA: 16},
)

CONVERSATIONS: Final = (RELEASE, LUNCH, BOOKS, HIKE, DUTY, EXCHANGE)
