"""The schema's history, run by Alembic whenever a journal is opened for writing.

A new step is a file `versions/vNNNN_what.py` whose `down_revision` is the one before. There are no
ways down: a journal that a newer Ratchet wrote is refused by an older one.
"""
