"""What the API holds: kinds, their fields, admission, patches, server-side apply, and the store with its events."""
