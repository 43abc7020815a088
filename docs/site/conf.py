"""Settings of the documentation site, which `make docs` builds from the Markdown of the whole
repository.

The sources are where they are read on a code host: links between them are relative and hold in both
places.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
# Examples are small: one thread each, and the same time on every machine.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NC1FAST_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["MPLBACKEND"] = "agg"

import nc1fast
from nc1fast.core.activations import GeneralActivation

GeneralActivation.__name__ = "Activation"  # its public name: otherwise its page says "alias of"

project = "nc1fast"
author = "nc1fast developers"
copyright = f"2026, {author}"
version = release = nc1fast.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "sphinx_design",
    "chapters",
    "names",
    "twins",
]

# Sources

include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**",
    "bench/README.md",
    "cpp/README.md",
    "cuda/README.md",
]
exclude_patterns = [
    ".*",
    "build",
    "out",
    "dist",
    "python",
    "tests",
    "docs/examples",
    "docs/site",
    "docs/**/*.ipynb",
    "docs/**/*.py",
]
root_doc = "docs/index"
nitpicky = True
smartquotes = False  # quotes in docstrings are those of arguments
suppress_warnings = [
    "config.cache",  # the order of the examples is a function
]
highlight_language = "none"
pygments_style = "tango"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# Reference

autosummary_generate = True
autosummary_generate_overwrite = True
autodoc_typehints = "none"  # numpydoc's sections have the types
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_class_members_toctree = False
templates_path = [str(HERE / "templates")]

# Gallery

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "docs" / "examples"),
    "gallery_dirs": str(ROOT / "docs" / "gallery"),
    "filename_pattern": r"\.py$",
    "within_subsection_order": "examples.place",
    "reset_modules": ("matplotlib", "examples.look"),
    "doc_module": ("nc1fast",),
    "backreferences_dir": "docs/gallery/uses",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 3600,  # times of a builder say nothing to a reader
    "abort_on_example_error": True,
    "plot_gallery": os.environ.get("GALLERY", "1") != "0",
    "write_computation_times": False,
}

# Pages

html_theme = "pydata_sphinx_theme"
html_title = "nc1fast"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "nc1fast"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc", "twin"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": True,
    "collapse_navigation": True,
    "navigation_with_keys": False,
}
html_context = {"default_mode": "auto"}
html_sidebars = {"docs/index": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
