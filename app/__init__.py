"""The explorer: a Gradio app over mtkd.explore. It holds no mathematics of its own."""
