//! Sandboxes as plain data, and bubblewrap to run them.
