"""Models side by side on one image: results, regions, saved views and figures of them."""
