"""The JSON interface that the page uses, the pages themselves, and what tells how the server is doing."""
