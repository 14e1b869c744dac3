"""
The settings of the messenger.

`groups` lists them, `readers` turns their text into values, `load` reads them from the environment, and `explain` shows
where each value comes from.
"""
