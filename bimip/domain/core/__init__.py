"""What all rules are made of: numbers and records, the schema, operations and decisions, the clock."""
