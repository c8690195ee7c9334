"""Many chapters at once: one chapter executed for every combination of some parameters' values.

    axes -> plan -> (pool | on_ray) -> point

`axes` reads what the user typed, `plan` is the sweep's folder, `drive` hands its points to an engine (local processes
or Ray tasks), and each point is executed by a process of its own, `point`. `command` is what the user sees.
"""
