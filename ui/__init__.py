"""The faces of the product: the page and the command line. The only room that knows gradio."""

from ui.quick_start import install

install()
