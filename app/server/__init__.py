"""Being open to others: addresses and sizes, the queue, files of sessions."""
