// The case figure of a turn.
