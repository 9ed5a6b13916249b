"""Who may enter, the headers, and what is refused before anything reads it."""
