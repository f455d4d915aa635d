"""A language model proposes an answer; this room asks it, checks what it says, and keeps what it cost."""
