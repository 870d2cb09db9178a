"""The paper's experiments: recipes, and what is published of their results."""
