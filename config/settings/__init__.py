"""
What can be set from outside.

`groups` lists the settings, `readers` turns their text into values, `load` reads them, `explain` tells where each came
from.
"""
