"""What is played against chat-db-app."""
