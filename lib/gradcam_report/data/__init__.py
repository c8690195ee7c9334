"""The images as uint8 tensors: CIFAR-10 or the embedded synthetic shapes, their augmentation, people's labels, and a
reader's own picture."""
