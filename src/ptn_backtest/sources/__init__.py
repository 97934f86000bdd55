"""Where positions come from: rows as found, and where they were found."""
