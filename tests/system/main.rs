//! The real server, driven as its clients drive it.
