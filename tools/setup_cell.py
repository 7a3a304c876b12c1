"""The setup cell of every notebook; ``python -m tools.notebooks setup`` writes it into them."""

# Setup: the same on your own machine, on Binder and on Colab.
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = "https://github.com/your-organisation/llm-foundations-book"
folders = [Path.cwd(), *Path.cwd().parents]
mark = Path("utils", "notebook", "check.py")  # a file that no other package named utils has
root = next((folder for folder in folders if (folder / mark).exists()), None)
if root is None:  # the notebook alone: fetch the library; torch and numpy stay as they are
    root = Path(tempfile.mkdtemp(prefix="llm-foundations-book-"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    library = ["--no-deps", "--target", str(root), f"git+{REPOSITORY}"]
    subprocess.run([*pip, *library], check=True)
    needed = Distribution.at(next(root.glob("*.dist-info"))).requires or []
    subprocess.run([*pip, *needed], check=True)
other = sys.modules.get("utils") or find_spec("utils")  # perhaps a package of the same name
file = getattr(other, "__file__", getattr(other, "origin", None))
own_file = str(root / "utils" / "__init__.py")
sys.path.insert(0, str(root))
if file != own_file:
    for module in [name for name in sys.modules if name.split(".")[0] == "utils"]:
        del sys.modules[module]
    found = getattr(find_spec("utils"), "origin", None)
    if found != own_file:
        raise ImportError(
            f"utils is {found}, not the book's library in {root}: restart the kernel and run this "
            "cell first; if that does not help, uninstall the other package"
        )
    if other:
        print(f"From here on, utils is the book's library in {root}, not {file or other}.")
