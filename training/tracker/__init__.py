"""The face tracker: its data, its networks ' training, and how it is judged."""
