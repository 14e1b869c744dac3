"""
Countries by their ISO 3166-1 alpha-2 codes, with their everyday names in Russian and English.

Each line has the code, the English name and the Russian name.
"""

from typing import Final

from domain.catalogue import Catalogue, Entry

_LINES: Final = """
AD|Andorra|Андорра
AE|United Arab Emirates|Объединённые Арабские Эмираты
AF|Afghanistan|Афганистан
AG|Antigua and Barbuda|Антигуа и Барбуда
AI|Anguilla|Ангилья
AL|Albania|Албания
AM|Armenia|Армения
AO|Angola|Ангола
AQ|Antarctica|Антарктида
AR|Argentina|Аргентина
AS|American Samoa|Американское Самоа
AT|Austria|Австрия
AU|Australia|Австралия
AW|Aruba|Аруба
AX|Åland Islands|Аландские острова
AZ|Azerbaijan|Азербайджан
BA|Bosnia and Herzegovina|Босния и Герцеговина
BB|Barbados|Барбадос
BD|Bangladesh|Бангладеш
BE|Belgium|Бельгия
BF|Burkina Faso|Буркина-Фасо
BG|Bulgaria|Болгария
BH|Bahrain|Бахрейн
BI|Burundi|Бурунди
BJ|Benin|Бенин
BL|Saint Barthélemy|Сен-Бартелеми
BM|Bermuda|Бермуды
BN|Brunei|Бруней
BO|Bolivia|Боливия
BQ|Caribbean Netherlands|Бонэйр, Синт-Эстатиус и Саба
BR|Brazil|Бразилия
BS|Bahamas|Багамы
BT|Bhutan|Бутан
BV|Bouvet Island|Остров Буве
BW|Botswana|Ботсвана
BY|Belarus|Беларусь
BZ|Belize|Белиз
CA|Canada|Канада
CC|Cocos (Keeling) Islands|Кокосовые острова
CD|DR Congo|Демократическая Республика Конго
CF|Central African Republic|Центральноафриканская Республика
CG|Congo|Республика Конго
CH|Switzerland|Швейцария
CI|Côte d’Ivoire|Кот-д’Ивуар
CK|Cook Islands|Острова Кука
CL|Chile|Чили
CM|Cameroon|Камерун
CN|China|Китай
CO|Colombia|Колумбия
CR|Costa Rica|Коста-Рика
CU|Cuba|Куба
CV|Cape Verde|Кабо-Верде
CW|Curaçao|Кюрасао
CX|Christmas Island|Остров Рождества
CY|Cyprus|Кипр
CZ|Czechia|Чехия
DE|Germany|Германия
DJ|Djibouti|Джибути
DK|Denmark|Дания
DM|Dominica|Доминика
DO|Dominican Republic|Доминиканская Республика
DZ|Algeria|Алжир
EC|Ecuador|Эквадор
EE|Estonia|Эстония
EG|Egypt|Египет
EH|Western Sahara|Западная Сахара
ER|Eritrea|Эритрея
ES|Spain|Испания
ET|Ethiopia|Эфиопия
FI|Finland|Финляндия
FJ|Fiji|Фиджи
FK|Falkland Islands|Фолклендские острова
FM|Micronesia|Микронезия
FO|Faroe Islands|Фарерские острова
FR|France|Франция
GA|Gabon|Габон
GB|United Kingdom|Великобритания
GD|Grenada|Гренада
GE|Georgia|Грузия
GF|French Guiana|Французская Гвиана
GG|Guernsey|Гернси
GH|Ghana|Гана
GI|Gibraltar|Гибралтар
GL|Greenland|Гренландия
GM|Gambia|Гамбия
GN|Guinea|Гвинея
GP|Guadeloupe|Гваделупа
GQ|Equatorial Guinea|Экваториальная Гвинея
GR|Greece|Греция
GS|South Georgia and the South Sandwich Islands|Южная Георгия и Южные Сандвичевы острова
GT|Guatemala|Гватемала
GU|Guam|Гуам
GW|Guinea-Bissau|Гвинея-Бисау
GY|Guyana|Гайана
HK|Hong Kong|Гонконг
HM|Heard Island and McDonald Islands|Остров Херд и острова Макдональд
HN|Honduras|Гондурас
HR|Croatia|Хорватия
HT|Haiti|Гаити
HU|Hungary|Венгрия
ID|Indonesia|Индонезия
IE|Ireland|Ирландия
IL|Israel|Израиль
IM|Isle of Man|Остров Мэн
IN|India|Индия
IO|British Indian Ocean Territory|Британская территория в Индийском океане
IQ|Iraq|Ирак
IR|Iran|Иран
IS|Iceland|Исландия
IT|Italy|Италия
JE|Jersey|Джерси
JM|Jamaica|Ямайка
JO|Jordan|Иордания
JP|Japan|Япония
KE|Kenya|Кения
KG|Kyrgyzstan|Киргизия
KH|Cambodia|Камбоджа
KI|Kiribati|Кирибати
KM|Comoros|Коморы
KN|Saint Kitts and Nevis|Сент-Китс и Невис
KP|North Korea|Северная Корея
KR|South Korea|Южная Корея
KW|Kuwait|Кувейт
KY|Cayman Islands|Острова Кайман
KZ|Kazakhstan|Казахстан
LA|Laos|Лаос
LB|Lebanon|Ливан
LC|Saint Lucia|Сент-Люсия
LI|Liechtenstein|Лихтенштейн
LK|Sri Lanka|Шри-Ланка
LR|Liberia|Либерия
LS|Lesotho|Лесото
LT|Lithuania|Литва
LU|Luxembourg|Люксембург
LV|Latvia|Латвия
LY|Libya|Ливия
MA|Morocco|Марокко
MC|Monaco|Монако
MD|Moldova|Молдавия
ME|Montenegro|Черногория
MF|Saint Martin|Сен-Мартен
MG|Madagascar|Мадагаскар
MH|Marshall Islands|Маршалловы Острова
MK|North Macedonia|Северная Македония
ML|Mali|Мали
MM|Myanmar|Мьянма
MN|Mongolia|Монголия
MO|Macao|Макао
MP|Northern Mariana Islands|Северные Марианские острова
MQ|Martinique|Мартиника
MR|Mauritania|Мавритания
MS|Montserrat|Монтсеррат
MT|Malta|Мальта
MU|Mauritius|Маврикий
MV|Maldives|Мальдивы
MW|Malawi|Малави
MX|Mexico|Мексика
MY|Malaysia|Малайзия
MZ|Mozambique|Мозамбик
NA|Namibia|Намибия
NC|New Caledonia|Новая Каледония
NE|Niger|Нигер
NF|Norfolk Island|Остров Норфолк
NG|Nigeria|Нигерия
NI|Nicaragua|Никарагуа
NL|Netherlands|Нидерланды
NO|Norway|Норвегия
NP|Nepal|Непал
NR|Nauru|Науру
NU|Niue|Ниуэ
NZ|New Zealand|Новая Зеландия
OM|Oman|Оман
PA|Panama|Панама
PE|Peru|Перу
PF|French Polynesia|Французская Полинезия
PG|Papua New Guinea|Папуа — Новая Гвинея
PH|Philippines|Филиппины
PK|Pakistan|Пакистан
PL|Poland|Польша
PM|Saint Pierre and Miquelon|Сен-Пьер и Микелон
PN|Pitcairn Islands|Острова Питкэрн
PR|Puerto Rico|Пуэрто-Рико
PS|Palestine|Палестина
PT|Portugal|Португалия
PW|Palau|Палау
PY|Paraguay|Парагвай
QA|Qatar|Катар
RE|Réunion|Реюньон
RO|Romania|Румыния
RS|Serbia|Сербия
RU|Russia|Россия
RW|Rwanda|Руанда
SA|Saudi Arabia|Саудовская Аравия
SB|Solomon Islands|Соломоновы Острова
SC|Seychelles|Сейшельские Острова
SD|Sudan|Судан
SE|Sweden|Швеция
SG|Singapore|Сингапур
SH|Saint Helena, Ascension and Tristan da Cunha|Остров Святой Елены, Вознесения и Тристан-да-Кунья
SI|Slovenia|Словения
SJ|Svalbard and Jan Mayen|Шпицберген и Ян-Майен
SK|Slovakia|Словакия
SL|Sierra Leone|Сьерра-Леоне
SM|San Marino|Сан-Марино
SN|Senegal|Сенегал
SO|Somalia|Сомали
SR|Suriname|Суринам
SS|South Sudan|Южный Судан
ST|São Tomé and Príncipe|Сан-Томе и Принсипи
SV|El Salvador|Сальвадор
SX|Sint Maarten|Синт-Мартен
SY|Syria|Сирия
SZ|Eswatini|Эсватини
TC|Turks and Caicos Islands|Острова Тёркс и Кайкос
TD|Chad|Чад
TF|French Southern Territories|Французские Южные территории
TG|Togo|Того
TH|Thailand|Таиланд
TJ|Tajikistan|Таджикистан
TK|Tokelau|Токелау
TL|Timor-Leste|Восточный Тимор
TM|Turkmenistan|Туркменистан
TN|Tunisia|Тунис
TO|Tonga|Тонга
TR|Türkiye|Турция
TT|Trinidad and Tobago|Тринидад и Тобаго
TV|Tuvalu|Тувалу
TW|Taiwan|Тайвань
TZ|Tanzania|Танзания
UA|Ukraine|Украина
UG|Uganda|Уганда
UM|US Minor Outlying Islands|Внешние малые острова США
US|United States|США
UY|Uruguay|Уругвай
UZ|Uzbekistan|Узбекистан
VA|Vatican City|Ватикан
VC|Saint Vincent and the Grenadines|Сент-Винсент и Гренадины
VE|Venezuela|Венесуэла
VG|British Virgin Islands|Британские Виргинские острова
VI|US Virgin Islands|Американские Виргинские острова
VN|Vietnam|Вьетнам
VU|Vanuatu|Вануату
WF|Wallis and Futuna|Уоллис и Футуна
WS|Samoa|Самоа
YE|Yemen|Йемен
YT|Mayotte|Майотта
ZA|South Africa|ЮАР
ZM|Zambia|Замбия
ZW|Zimbabwe|Зимбабве
"""


def _entry(line: str) -> Entry:
    key, english, russian = line.split("|")
    return Entry(key=key, value=russian, english=english)


COUNTRIES: Final = Catalogue(
    name="countries",
    title="Страны",
    english_title="Countries",
    entries=tuple(_entry(line) for line in _LINES.split("\n") if line),
)
