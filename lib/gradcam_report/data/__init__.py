"""The images as uint8 tensors: CIFAR-10 or the synthetic shapes (`datasets` loads either), their augmentation, human
labels of the test images, and a reader's own picture."""
