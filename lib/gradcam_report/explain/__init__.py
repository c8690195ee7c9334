"""Why the network answered as it did.

`cam` makes class activation maps, `margin` takes the margin between two classes apart exactly, `contrast` says which
two classes of an image are compared and explains both.
"""
