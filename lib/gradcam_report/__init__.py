"""Train a ResNet-18 on CIFAR-10, and look at what it sees when it is wrong."""

__version__ = "0.1.0"
