"""Many chapters at once: one chapter executed at every combination of some parameters' values.

    grid -> plan -> engine

`grid` reads what the user typed, `plan` turns it into the record of the sweep's folder, and `engine` brings its points
to their end with Ray. `command` is what the user sees.
"""
