"""The patient page: what it asks (`controls`, `question`), what it answers (`numbers`, `answer`), and in words."""
