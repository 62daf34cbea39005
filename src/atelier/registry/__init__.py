"""What is published: the store, its versions and their lineage, and the gate before it."""
