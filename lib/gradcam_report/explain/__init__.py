"""Why the network answered so: class activation maps, and the exact decomposition of a margin at layer4."""
