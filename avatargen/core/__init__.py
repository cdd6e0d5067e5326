"""Values and rules that everything shares; imports none of our code."""
