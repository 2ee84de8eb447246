"""How Sphinx builds these pages. Nothing of the package is imported here."""

import importlib.metadata

project = "nti7flow"
author = "The nti7flow authors"
copyright = f"2026, {author}"
version = release = importlib.metadata.version("nti7flow")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

html_theme = "alabaster"
html_theme_options = {"description": "From FCS files to counts over time", "page_width": "1100px"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Notebooks and {code-cell} pages run here, so what they show is what the installed version does.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_render_markdown_format = "gfm"  # generated tables are GitHub-style

autodoc_typehints = "description"
napoleon_google_docstring = False
napoleon_use_ivar = True
