"""A device says where it stands (Hello), and acknowledges; its cursor keeps that."""
