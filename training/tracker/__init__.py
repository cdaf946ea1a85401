"""The face tracker: its data, what it is trained by, and how it is judged."""
