"""
The settings of the messenger.

`groups` lists the settings, `readers` parses their text, `load` reads them, and `explain` lists them with their sources.
"""
