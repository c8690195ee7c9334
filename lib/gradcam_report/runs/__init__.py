"""The run folder: the files that chapters pass to one another, each written whole or not at all."""
