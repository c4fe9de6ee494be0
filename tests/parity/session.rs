//! What `session.py` asks for.
