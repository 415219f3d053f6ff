"""Every record, id, topic and header of Allweather, as frozen models. No I/O.

Read `slip` first (what a request carries), then `records` (what each topic holds), then `config` (what an operator
writes).
"""
