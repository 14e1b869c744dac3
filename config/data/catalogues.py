from typing import Final

from config.data.countries import COUNTRIES
from config.data.time_zones import TIME_ZONES
from domain.catalogue import Catalogue, Entry

TEST: Final = Catalogue(
    name="test",
    title="Проверка",
    english_title="Test",
    entries=(Entry(key="test", value="Тест"),),
)
"""The original messenger's only list, the same in every language."""

CATALOGUES: Final = (TEST, COUNTRIES, TIME_ZONES)
"""The reference lists that come with this version, in the order in which they are listed."""
