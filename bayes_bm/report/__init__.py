"""Tables to a page: figures, sections, sentences, the server of the patient page."""
