"""The run folder, the only thing that chapters pass to one another: files written whole or not at all.

`folder` finds a stored result or the place for a new one; `records` types what the JSON files hold, `sweep` those of
many runs; `io` reads and writes, `lock` allows one computation at a time, `provenance` records what computed a result.
"""
