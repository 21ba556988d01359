"""What the DNS says, asked at the servers that are responsible, or at given resolvers."""
