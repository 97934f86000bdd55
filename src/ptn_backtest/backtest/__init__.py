"""The replay: configuration, the map over traders, and the manager that steps through time."""
