"""Whether the maps can be believed.

`experiments` scores explainers and the `baselines` with `metrics`, on test images and, by a network from
`shapes_model`, on synthetic images whose decisive pixels are known; `significance` compares the scores.
"""
