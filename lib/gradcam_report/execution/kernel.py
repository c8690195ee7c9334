"""The kernel that executes a chapter: this very Python."""

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager


class ThisPython(AsyncKernelManager):
    """Starts kernels with this interpreter, whatever is installed under the name of the chapter's kernel."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel of this interpreter's ipykernel."""
        return KernelSpec(resource_dir="", **get_kernel_dict())
